"""Writes the tiny models and the golden files that golden_test.go compares the engine with.

Everything is computed in float64 by the small model below, which the script first holds against transformers' own
LlamaForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM: logits, and the gradient of every weight.

Needs torch, transformers, numpy and gguf. Run: python3 make_goldens.py (from any folder; writes beside itself)

Written, for each of llama (untied head), qwen2 (q/k/v bias, tied) and qwen3 (q/k norm, wide heads, tied):
  NAME.gguf         the F32 model as llama.cpp's converter lays it out (llama: rows of q and k permuted)
  NAME.golden.gguf  one packed batch (golden.tokens, .targets, .positions, .segments); the adapter
                    BASE.lora_a, BASE.lora_b; with it: lora.logits, lora.token_losses, gradients BASE.lora_a.grad,
                    BASE.lora_b.grad; without it: base.logits and, in full training, gradients BASE.grad
  steps.golden.gguf ten AdamW steps of the llama adapter over four groups of three micro-batches in a cycle:
                    batches, learning rates, losses, norms before clipping, and the final adapter BASE.lora_a.final
  rope.golden.gguf  logits of the llama model under linear, YaRN and llama3 rope scaling, and its rope_freqs tensor
"""
import math
import os

import gguf
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import (LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
                          Qwen3ForCausalLM)

HERE = os.path.dirname(os.path.abspath(__file__))
HIDDEN, HEADS, KV_HEADS, FFN, VOCAB, BLOCKS = 64, 4, 2, 96, 97, 2
EPS, THETA, CONTEXT = 1e-5, 10000.0, 1024
RANK, ALPHA = 4, 8.0
ROWS, LENGTH = 2, 23  # of a micro-batch; qwen3's is one row of 113, with a sample longer than two tiles of attention
LINEARS = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
TO_HF = {
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm",
}
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


class Shape:
    def __init__(self, arch, head_dim, tied, bias, qk_norm):
        self.arch, self.head_dim, self.tied, self.bias, self.qk_norm = arch, head_dim, tied, bias, qk_norm

    def permuted(self, name):
        """Whether the converter permutes the rows of this tensor: llama.cpp rotates neighbouring pairs there."""
        return self.arch == "llama" and (".attn_q." in name or ".attn_k." in name)


SHAPES = {
    "llama": Shape("llama", 16, tied=False, bias=False, qk_norm=False),
    "qwen2": Shape("qwen2", 16, tied=True, bias=True, qk_norm=False),
    "qwen3": Shape("qwen3", 32, tied=True, bias=False, qk_norm=True),
}


def rounded(t):
    """The nearest float32 value, held in float64: what a reader of the file computes with."""
    return t.float().double()


def make_weights(shape, seed):
    """Weights by GGUF name, in transformers' row order."""
    gen = torch.Generator().manual_seed(seed)

    def normal(std, *dims):
        return rounded(torch.randn(*dims, generator=gen) * std)

    q, kv = HEADS * shape.head_dim, KV_HEADS * shape.head_dim
    dims = {"attn_q": (q, HIDDEN), "attn_k": (kv, HIDDEN), "attn_v": (kv, HIDDEN), "attn_output": (HIDDEN, q),
            "ffn_gate": (FFN, HIDDEN), "ffn_up": (FFN, HIDDEN), "ffn_down": (HIDDEN, FFN)}
    w = {"token_embd.weight": normal(0.7, VOCAB, HIDDEN), "output_norm.weight": 1 + normal(0.2, HIDDEN)}
    if not shape.tied:
        w["output.weight"] = normal(0.25, VOCAB, HIDDEN)
    for i in range(BLOCKS):
        for name in ("attn_norm", "ffn_norm"):
            w[f"blk.{i}.{name}.weight"] = 1 + normal(0.2, HIDDEN)
        for name, (n_out, n_in) in dims.items():
            w[f"blk.{i}.{name}.weight"] = normal(1.3 / math.sqrt(n_in), n_out, n_in)
        if shape.bias:
            for name in ("attn_q", "attn_k", "attn_v"):
                w[f"blk.{i}.{name}.bias"] = normal(0.3, dims[name][0])
        if shape.qk_norm:
            for name in ("attn_q_norm", "attn_k_norm"):
                w[f"blk.{i}.{name}.weight"] = 1 + normal(0.2, shape.head_dim)
    return {k: rounded(v) for k, v in w.items()}


def make_adapter(shape, weights, seed):
    """Random non-zero A [rank, n_in] and B [n_out, rank] on the seven linears and on an untied head."""
    gen = torch.Generator().manual_seed(seed)
    bases = [f"blk.{i}.{n}.weight" for i in range(BLOCKS) for n in LINEARS]
    if not shape.tied:
        bases.append("output.weight")
    adapter = {}
    for base in bases:
        n_out, n_in = weights[base].shape
        adapter[base + ".lora_a"] = rounded(torch.randn(RANK, n_in, generator=gen) / math.sqrt(n_in))
        adapter[base + ".lora_b"] = rounded(torch.randn(n_out, RANK, generator=gen) * 0.15)
    return adapter


def default_rope(head_dim):
    return THETA ** (-torch.arange(0, head_dim, 2) / head_dim), 1.0


def rms_norm(x, weight):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * weight


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin


class Model:
    """A forward pass over packed rows; position i of the flat batch attends to segments[i]..i."""

    def __init__(self, shape, weights, adapter=None, rope=None):
        self.shape, self.w, self.adapter = shape, weights, adapter or {}
        self.rope = rope or default_rope(shape.head_dim)

    def linear(self, x, name):
        y = x @ self.w[name + ".weight"].T
        a = self.adapter.get(name + ".weight.lora_a")
        if a is not None:
            y = y + (ALPHA / RANK) * (x @ a.T) @ self.adapter[name + ".weight.lora_b"].T
        bias = self.w.get(name + ".bias")
        return y if bias is None else y + bias

    def attention(self, x, i, cos, sin, mask):
        s, n = self.shape, x.shape[0]
        q = self.linear(x, f"blk.{i}.attn_q").view(n, HEADS, s.head_dim)
        k = self.linear(x, f"blk.{i}.attn_k").view(n, KV_HEADS, s.head_dim)
        v = self.linear(x, f"blk.{i}.attn_v").view(n, KV_HEADS, s.head_dim)
        if s.qk_norm:
            q = rms_norm(q, self.w[f"blk.{i}.attn_q_norm.weight"])
            k = rms_norm(k, self.w[f"blk.{i}.attn_k_norm.weight"])
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(s.head_dim)
        p = scores.masked_fill(~mask, -math.inf).softmax(-1)
        return self.linear(torch.einsum("hqk,khd->qhd", p, v).reshape(n, -1), f"blk.{i}.attn_output")

    def logits(self, batch):
        index = torch.arange(len(batch["tokens"]))
        mask = (index[None, :] <= index[:, None]) & (index[None, :] >= batch["segments"][:, None])
        freq, attn_factor = self.rope
        angle = batch["positions"][:, None].double() * freq
        angle = torch.cat([angle, angle], -1)[:, None, :]
        cos, sin = angle.cos() * attn_factor, angle.sin() * attn_factor
        x = F.embedding(batch["tokens"], self.w["token_embd.weight"])
        for i in range(BLOCKS):
            x = x + self.attention(rms_norm(x, self.w[f"blk.{i}.attn_norm.weight"]), i, cos, sin, mask)
            h = rms_norm(x, self.w[f"blk.{i}.ffn_norm.weight"])
            gated = F.silu(self.linear(h, f"blk.{i}.ffn_gate")) * self.linear(h, f"blk.{i}.ffn_up")
            x = x + self.linear(gated, f"blk.{i}.ffn_down")
        h = rms_norm(x, self.w["output_norm.weight"])
        return h @ self.w["token_embd.weight"].T if self.shape.tied else self.linear(h, "output")

    def token_losses(self, batch):
        """Loss of each position in nats, 0 where the target is masked."""
        return F.cross_entropy(self.logits(batch), batch["targets"], ignore_index=-1, reduction="none")


def make_batch(gen, lengths, masked, row_length=LENGTH):
    """Rows of samples laid end to end; lengths lists the samples of each row, the rest of a row is padding.
    A share `masked` of the targets is dropped, as are the last of each sample and the padding, each position of
    which is a segment of its own."""
    batch = {k: [] for k in ("tokens", "targets", "positions", "segments")}
    for row in lengths:
        pad = row_length - sum(row)
        for n, real in [(n, True) for n in row] + ([(pad, False)] if pad else []):
            start = len(batch["tokens"])
            tokens = torch.randint(1, VOCAB, (n,), generator=gen).tolist() if real else [0] * n
            drop = (torch.rand(n, generator=gen) < masked).tolist()
            targets = [t if real and not d else -1 for t, d in zip(tokens[1:], drop)] + [-1]
            batch["tokens"] += tokens
            batch["targets"] += targets
            batch["positions"] += range(n) if real else [0] * n
            batch["segments"] += [start] * n if real else range(start, start + n)
    return {k: torch.tensor(v) for k, v in batch.items()}


def gradients(loss, tensors):
    return dict(zip(tensors, torch.autograd.grad(loss, list(tensors.values()))))


def trainable(tensors):
    return {k: v.clone().requires_grad_() for k, v in tensors.items()}


# ---- transformers as the witness


def hf_model(shape, weights, rope_scaling=None):
    config = dict(hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=BLOCKS, num_attention_heads=HEADS,
                  num_key_value_heads=KV_HEADS, vocab_size=VOCAB, rope_theta=THETA, rms_norm_eps=EPS,
                  tie_word_embeddings=shape.tied, max_position_embeddings=CONTEXT, rope_scaling=rope_scaling,
                  attn_implementation="eager")
    transformers.logging.set_verbosity_error()
    if shape.arch == "llama":
        model = LlamaForCausalLM(LlamaConfig(**config))
    elif shape.arch == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**config))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(head_dim=shape.head_dim, **config))
    model = model.double().eval()
    state = {hf_name(k): v for k, v in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    return model


def hf_name(name):
    top = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
           "output.weight": "lm_head.weight"}
    if name in top:
        return top[name]
    _, i, part, kind = name.split(".")
    return f"model.layers.{i}.{TO_HF[part]}.{kind}"


def hf_logits(model, batch):
    """Each sample alone through transformers, put back in its place."""
    out = torch.zeros(len(batch["tokens"]), VOCAB)
    for start in batch["segments"].unique().tolist():
        index = (batch["segments"] == start).nonzero().flatten()
        out[index] = model(input_ids=batch["tokens"][index][None], use_cache=False).logits[0]
    return out


def close(got, want, what, tolerance=1e-5):
    """transformers computes its rotary angles, norms and softmax in float32, hence the tolerance."""
    error = ((got - want).norm() / want.norm()).item()
    assert error < tolerance, f"{what}: relative error {error:.2e}"
    return error


def check_against_transformers(name, shape, weights, adapter, batch):
    """Logits and the gradient of every weight; the adapter as merged weights, dA and dB by the chain rule."""
    merged = {k: v + (ALPHA / RANK) * adapter[k + ".lora_b"] @ adapter[k + ".lora_a"] if k + ".lora_a" in adapter
              else v for k, v in weights.items()}
    worst = 0.0
    for kind, used in (("base", weights), ("merged", merged)):
        witness = hf_model(shape, used)
        logits = hf_logits(witness, batch)
        params = trainable(used)
        own = Model(shape, params).logits(batch)
        worst = max(worst, close(own, logits, f"{name} {kind} logits"))
        F.cross_entropy(logits, batch["targets"], ignore_index=-1, reduction="sum").backward()
        loss = F.cross_entropy(own, batch["targets"], ignore_index=-1, reduction="sum")
        grads, hf = gradients(loss, params), dict(witness.named_parameters())
        for k, g in grads.items():
            worst = max(worst, close(g, hf[hf_name(k)].grad, f"{name} {kind} gradient of {k}"))
    lora = trainable(adapter)
    for k, g in gradients(Model(shape, weights, lora).token_losses(batch).sum(), lora).items():
        base, dw = k.rsplit(".", 1)[0], hf[hf_name(k.rsplit(".", 1)[0])].grad
        a, b = adapter[base + ".lora_a"], adapter[base + ".lora_b"]
        want = (ALPHA / RANK) * (b.T @ dw if k.endswith("a") else dw @ a.T)
        worst = max(worst, close(g, want, f"{name} gradient of {k}"))
    print(f"{name}: agrees with transformers, worst relative error {worst:.1e}")


# ---- files


def to_gguf(shape, name, t):
    """Row order of the file. What permutes the rows of W permutes those of B and of their gradients."""
    if not shape.permuted(name) or name.endswith((".lora_a", ".lora_a.grad", ".lora_a.final")):
        return t
    heads = HEADS if ".attn_q." in name else KV_HEADS
    rest = t.shape[1:]
    return t.reshape(heads, 2, t.shape[0] // heads // 2, *rest).swapaxes(1, 2).reshape(t.shape)


def write(path, arch, shape, tensors, fill):
    writer = gguf.GGUFWriter(path, arch)
    fill(writer)
    for name, t in tensors.items():
        data = to_gguf(shape, name, t.detach())
        writer.add_tensor(name, np.ascontiguousarray(data.numpy().astype(np.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    print(f"{os.path.basename(path)}: {os.path.getsize(path)} bytes")


def write_model(name, shape, weights):
    def fill(w):
        w.add_name(f"tiny {name}")
        w.add_file_type(gguf.LlamaFileType.ALL_F32)
        w.add_block_count(BLOCKS)
        w.add_context_length(CONTEXT)
        w.add_embedding_length(HIDDEN)
        w.add_feed_forward_length(FFN)
        w.add_head_count(HEADS)
        w.add_head_count_kv(KV_HEADS)
        w.add_rope_freq_base(THETA)
        w.add_layer_norm_rms_eps(EPS)
        if shape.arch == "llama":
            w.add_rope_dimension_count(shape.head_dim)
            w.add_vocab_size(VOCAB)
        if shape.arch == "qwen3":
            w.add_key_length(shape.head_dim)
            w.add_value_length(shape.head_dim)
        # A vocabulary of single characters, the end token first; enough for libllama to load the file.
        pieces = ["<|end|>"] + [chr(33 + i) for i in range(94)] + ["Ċ", "ab"]
        assert len(pieces) == VOCAB
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("default")
        w.add_token_list(pieces)
        w.add_token_types([gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (VOCAB - 1))
        w.add_token_merges(["a b"])
        w.add_bos_token_id(0)
        w.add_eos_token_id(0)
        w.add_add_bos_token(False)

    write(os.path.join(HERE, f"{name}.gguf"), shape.arch, shape, weights, fill)


def add_batch(w, batch, prefix="golden."):
    for key, t in batch.items():
        w.add_array(prefix + key, t.tolist())


def write_golden(name, shape, weights, adapter, batch, rows):
    lora, full = trainable(adapter), trainable(weights)
    model = Model(shape, weights, lora)
    losses = model.token_losses(batch)
    tensors = dict(adapter)
    tensors.update((k + ".grad", g) for k, g in gradients(losses.sum(), lora).items())
    tensors["lora.logits"], tensors["lora.token_losses"] = model.logits(batch), losses
    base = Model(shape, full)
    base_loss = base.token_losses(batch).sum()
    tensors["base.logits"] = base.logits(batch)
    grads = gradients(base_loss, full)
    if name == "qwen3":  # the rest repeats what the other two show
        grads = {k: g for k, g in grads.items() if "norm" in k or k in ("token_embd.weight", "blk.0.attn_q.weight")}
    if name == "qwen2":  # files stay small
        grads = {k: g for k, g in grads.items() if not k.startswith("blk.1.ffn_") or "norm" in k}
    tensors.update((k + ".grad", g) for k, g in grads.items())

    def fill(w):
        w.add_uint32("golden.rows", rows)
        w.add_uint32("golden.length", len(batch["tokens"]) // rows)
        w.add_uint32("golden.rank", RANK)
        w.add_float32("golden.alpha", ALPHA)
        w.add_float32("golden.lora_loss", losses.sum().item())
        w.add_float32("golden.base_loss", base_loss.item())
        add_batch(w, batch)

    write(os.path.join(HERE, f"{name}.golden.gguf"), "golden", shape, tensors, fill)


STEPS, ACCUMULATION, GROUPS, LR = 10, 3, 4, 1e-2
OPTIMIZER = {"clip": 5.0, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}


def learning_rate(step):
    """Two steps of linear warm-up, then a cosine down to a tenth."""
    if step < 2:
        return LR * (step + 1) / 2
    return LR * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 2) / (STEPS - 2))))


def micro_batches():
    """GROUPS steps' worth, gone through in a cycle. AdamW hardly notices a constant scale, so one group has few
    targets and thus a far larger norm to clip."""
    gen = torch.Generator().manual_seed(77)
    layouts = [[[9, 14], [17]], [[23], [5, 6, 7]], [[3, 20], [23]]]
    return [make_batch(gen, layouts[i % 3], masked=0.93 if i // 3 == 1 else [0.1, 0.6, 0.3][i % 3])
            for i in range(GROUPS * ACCUMULATION)]


def run_steps(shape, weights, adapter, micro, clip, weight_decay, beta1, beta2, eps):
    """Loss of a step: mean over the targets of its micro-batches, which hold unequal numbers of them."""
    lora = trainable(adapter)
    model = Model(shape, weights, lora)
    optimizer = torch.optim.AdamW(lora.values(), betas=(beta1, beta2), eps=eps, weight_decay=weight_decay)
    losses, norms = [], []
    for step in range(STEPS):
        first = step % GROUPS * ACCUMULATION
        group = micro[first:first + ACCUMULATION]
        count = sum((b["targets"] >= 0).sum().item() for b in group)
        loss = sum(model.token_losses(b).sum() for b in group) / count
        optimizer.zero_grad()
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(lora.values(), clip).item())
        optimizer.param_groups[0]["lr"] = learning_rate(step)
        optimizer.step()
        losses.append(loss.item())
    return losses, norms, lora


def write_steps(shape, weights, adapter):
    micro = micro_batches()
    losses, norms, lora = run_steps(shape, weights, adapter, micro, **OPTIMIZER)
    print("steps: losses", [round(v, 4) for v in losses], "norms", [round(v, 3) for v in norms])
    clipped = sum(n > OPTIMIZER["clip"] for n in norms)
    assert 2 <= clipped <= 7, f"clipping must bite on some steps and not on others: {norms}"
    for key, wrong in (("clip", 1e9), ("weight_decay", 0.0), ("beta1", 0.8), ("beta2", 0.99), ("eps", 1e-2)):
        other, _, _ = run_steps(shape, weights, adapter, micro, **{**OPTIMIZER, key: wrong})
        moved = max(abs(a / b - 1) for a, b in zip(other, losses))
        assert moved > 5e-4, f"{key} {wrong} moves the losses by {moved:.1e} only: a mistake would go unseen"
        print(f"steps: {key} {wrong} would move a loss by {moved:.1e}")

    def fill(w):
        for key, value in (("steps", STEPS), ("accumulation", ACCUMULATION), ("groups", GROUPS), ("rows", ROWS),
                           ("length", LENGTH)):
            w.add_uint32("golden." + key, value)
        for key, value in OPTIMIZER.items():
            w.add_float64("golden." + key, value)
        for key, values in (("learning_rates", [learning_rate(i) for i in range(STEPS)]), ("losses", losses),
                            ("grad_norms", norms)):
            w.add_array("golden." + key, values)
        add_batch(w, {key: torch.cat([b[key] for b in micro]) for key in micro[0]})

    final = {k + ".final": v for k, v in lora.items()}
    write(os.path.join(HERE, "steps.golden.gguf"), "golden", shape, final, fill)


def linear_rope(head_dim):
    return default_rope(head_dim)[0] / 4, 1.0


def yarn_rope(head_dim, factor=4.0, original=256, beta_fast=32, beta_slow=1):
    def dimension(rotations):
        return head_dim * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(THETA))

    freq = default_rope(head_dim)[0]
    low, high = max(math.floor(dimension(beta_fast)), 0), min(math.ceil(dimension(beta_slow)), head_dim - 1)
    keep = 1 - ((torch.arange(head_dim // 2).double() - low) / (high - low)).clamp(0, 1)
    return freq * keep + freq / factor * (1 - keep), 0.1 * math.log(factor) + 1


def llama3_factors(head_dim, factor=8.0, low=1.0, high=4.0, original=64):
    """The rope_freqs tensor: what each base frequency is divided by."""
    wavelen = 2 * math.pi / default_rope(head_dim)[0]
    smooth = ((original / wavelen - low) / (high - low)).clamp(0, 1)
    return rounded(1 / ((1 - smooth) / factor + smooth))


def write_rope(shape, weights, batch):
    factors = llama3_factors(shape.head_dim)
    variants = {
        "linear": (linear_rope(shape.head_dim), {"rope_type": "linear", "factor": 4.0}),
        "yarn": (yarn_rope(shape.head_dim), {"rope_type": "yarn", "factor": 4.0,
                                             "original_max_position_embeddings": 256}),
        "llama3": ((default_rope(shape.head_dim)[0] / factors, 1.0),
                   {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64}),
    }
    plain = Model(shape, weights).logits(batch)
    tensors = {"rope_freqs.weight": factors}
    for name, (rope, scaling) in variants.items():
        logits = Model(shape, weights, rope=rope).logits(batch)
        witness = hf_model(shape, weights, scaling)
        error = close(logits, hf_logits(witness, batch), f"rope scaling {name}")
        moved = ((logits - plain).norm() / plain.norm()).item()
        assert moved > 0.05, f"{name} scaling hardly moves the logits: {moved:.3f}"
        print(f"rope {name}: agrees with transformers to {error:.1e}, moves the logits by {moved:.2f}")
        tensors[name + ".logits"] = logits

    def fill(w):
        w.add_float32("golden.linear_factor", 4.0)
        w.add_float32("golden.yarn_factor", 4.0)
        w.add_uint32("golden.yarn_original_context", 256)

    write(os.path.join(HERE, "rope.golden.gguf"), "golden", shape, tensors, fill)


def main():
    for seed, (name, shape) in enumerate(SHAPES.items(), start=1):
        weights = make_weights(shape, seed)
        adapter = make_adapter(shape, weights, 100 + seed)
        layout, length = ([[102, 7]], 113) if name == "qwen3" else ([[9, 14], [17]], LENGTH)
        batch = make_batch(torch.Generator().manual_seed(200 + seed), layout, 0.25, length)
        check_against_transformers(name, shape, weights, adapter, batch)
        write_model(name, shape, weights)
        write_golden(name, shape, weights, adapter, batch, len(layout))
        if name == "llama":
            with torch.no_grad():
                write_rope(shape, weights, batch)
            write_steps(shape, weights, adapter)


if __name__ == "__main__":
    main()
