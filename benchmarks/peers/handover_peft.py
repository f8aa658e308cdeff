"""The PyTorch side of benchmarks/handover.sh: transformers with the weights of a GGUF file, and PEFT.

    handover_peft.py make BASE.gguf DIR [--rank R] [--rslora] [--patterns]   a random PEFT adapter, A and B not zero
    handover_peft.py tokens BASE.gguf FILE [--count N]                       random token ids
    handover_peft.py compare BASE.gguf PEFTDIR TOKENS OURS.f32 BASE.f32      PEFT's logits against ours, one JSON line

Needs torch, transformers, peft, gguf.
"""
import argparse
import json
import os

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import warnings

warnings.filterwarnings("ignore")
import gguf
import numpy as np
import peft
import torch
import transformers

LINEARS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
           "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
           "ffn_down": "mlp.down_proj"}
OTHERS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q_norm": "self_attn.q_norm",
          "attn_k_norm": "self_attn.k_norm"}
TOP = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}
CLASSES = {"llama": ("LlamaConfig", "LlamaForCausalLM"), "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"),
           "qwen3": ("Qwen3Config", "Qwen3ForCausalLM")}


def hf_name(name):
    if name in TOP:
        return TOP[name]
    _, i, part, kind = name.split(".")
    return f"model.layers.{i}.{LINEARS.get(part) or OTHERS[part]}.{kind}"


def load(path):
    """The model in F32 with the file's weights, dequantised."""
    reader = gguf.GGUFReader(path)
    arch = reader.fields["general.architecture"].contents()
    names = {t.name for t in reader.tensors}

    def get(key, default=None):
        f = reader.fields.get(f"{arch}.{key}")
        return default if f is None else f.contents()

    heads = get("attention.head_count")
    settings = {"hidden_size": get("embedding_length"), "intermediate_size": get("feed_forward_length"),
                "num_hidden_layers": get("block_count"), "num_attention_heads": heads,
                "num_key_value_heads": get("attention.head_count_kv", heads),
                "head_dim": get("attention.key_length", get("embedding_length") // heads),
                "vocab_size": next(int(t.shape[1]) for t in reader.tensors if t.name == "token_embd.weight"),
                "rope_parameters": {"rope_type": "default", "rope_theta": get("rope.freq_base", 10000.0)},
                "rms_norm_eps": get("attention.layer_norm_rms_epsilon"), "max_position_embeddings": get("context_length"),
                "tie_word_embeddings": "output.weight" not in names, "use_cache": False}
    config_class, model_class = (getattr(transformers, name) for name in CLASSES[arch])
    config = config_class(**settings)
    config._attn_implementation = "eager"
    model = model_class(config).float().eval()
    params = dict(model.named_parameters())
    left = set(params)
    for t in reader.tensors:
        if t.name == "rope_freqs.weight":
            continue
        w = torch.from_numpy(np.array(gguf.quants.dequantize(t.data, t.tensor_type)))
        part = t.name.split(".")[2] if t.name.startswith("blk.") else ""
        if arch == "llama" and part in ("attn_q", "attn_k"):
            n = heads if part == "attn_q" else settings["num_key_value_heads"]
            w = w.reshape(n, w.shape[0] // n // 2, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)
        with torch.no_grad():
            params[hf_name(t.name)].copy_(w)
        left.discard(hf_name(t.name))
    assert not left, f"no weights for {left}"
    return model


def make(o):
    torch.manual_seed(o.seed)
    settings = {"r": o.rank, "lora_alpha": 2 * o.rank, "use_rslora": o.rslora,
                "target_modules": [v.split(".")[1] for v in LINEARS.values()]}
    if o.patterns:
        settings |= {"rank_pattern": {"q_proj": 2 * o.rank}, "alpha_pattern": {"layers.0.mlp.up_proj": 7}}
    model = peft.get_peft_model(load(o.base), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, o.std)
    model.save_pretrained(o.dir)


def tokens(o):
    vocab = next(int(t.shape[1]) for t in gguf.GGUFReader(o.base).tensors if t.name == "token_embd.weight")
    ids = np.random.default_rng(o.seed).integers(0, vocab, o.count)
    with open(o.file, "w") as f:
        f.write(" ".join(map(str, ids)) + "\n")


def compare(o):
    with open(o.tokens) as f:
        ids = torch.tensor([[int(t) for t in f.read().split()]])
    model = load(o.base)
    with torch.no_grad():
        plain = model(input_ids=ids).logits[0].numpy().copy()
        adapted = peft.PeftModel.from_pretrained(model, o.dir).eval()(input_ids=ids).logits[0].numpy()
    ours = np.fromfile(o.ours, "<f4").reshape(adapted.shape)
    base = np.fromfile(o.baselogits, "<f4").reshape(adapted.shape)
    print(json.dumps({"adapter": o.dir if not o.label else o.label, "largest_difference": float(np.abs(ours - adapted).max()),
                      "base_largest_difference": float(np.abs(base - plain).max()),
                      "adapter_moves_logits_by": float(np.abs(adapted - plain).max()),
                      "largest_logit": float(np.abs(adapted).max()), "tokens": ids.shape[1]}), flush=True)
    if o.golden:
        adapted.astype("<f4").tofile(o.golden)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--seed", type=int, default=7)
    sub = p.add_subparsers(required=True)
    m = sub.add_parser("make")
    m.add_argument("base")
    m.add_argument("dir")
    m.add_argument("--rank", type=int, default=4)
    m.add_argument("--std", type=float, default=0.1)
    m.add_argument("--rslora", action="store_true")
    m.add_argument("--patterns", action="store_true")
    m.set_defaults(run=make)
    t = sub.add_parser("tokens")
    t.add_argument("base")
    t.add_argument("file")
    t.add_argument("--count", type=int, default=64)
    t.set_defaults(run=tokens)
    c = sub.add_parser("compare")
    for name in ("base", "dir", "tokens", "ours", "baselogits"):
        c.add_argument(name)
    c.add_argument("--label")
    c.add_argument("--golden", help="file for PEFT's logits, rows of F32")
    c.set_defaults(run=compare)
    o = p.parse_args()
    o.run(o)


if __name__ == "__main__":
    main()
