"""Peer for the CPU training benchmark: transformers + PEFT LoRA in F32 on torch CPU.

The model is read from a GGUF of the llama architecture (weights dequantised, q and k rows put back into
transformers' order), or given as the shape of SmolLM2-135M with random weights when --model is absent. LoRA r=16 on
the seven linears of every block, AdamW, micro-batches of 4 x 256 tokens, all of them trained, random token ids.
Each case runs in a process of its own, so that its peak RSS is its own. Prints one JSON line a case: tokens/s
(median of the steps after warm-up), the seconds of every step, peak RSS in bytes (VmHWM), first loss. torch's threads
spin while they wait: another busy process on the same cores can cost it a factor of ten, and the spread then shows it.

Needs torch, transformers, peft, gguf. Run: python3 peft_cpu.py --model SmolLM2-135M-Instruct.Q4_1.gguf
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

SMOLLM2 = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
           "num_key_value_heads": 3, "vocab_size": 49152, "rope_theta": 100000.0, "rms_norm_eps": 1e-5,
           "max_position_embeddings": 8192, "tie_word_embeddings": True}
LINEARS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
           "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
           "ffn_down": "mlp.down_proj"}


def field(reader, key):
    return reader.fields[key].contents()


def read_config(reader):
    arch = field(reader, "general.architecture")
    assert arch == "llama", f"this peer reads the llama architecture, not {arch}"
    names = {t.name for t in reader.tensors}
    vocab = next(int(t.shape[1]) for t in reader.tensors if t.name == "token_embd.weight")
    return {"hidden_size": field(reader, "llama.embedding_length"),
            "intermediate_size": field(reader, "llama.feed_forward_length"),
            "num_hidden_layers": field(reader, "llama.block_count"),
            "num_attention_heads": field(reader, "llama.attention.head_count"),
            "num_key_value_heads": field(reader, "llama.attention.head_count_kv"),
            "vocab_size": vocab, "rope_theta": field(reader, "llama.rope.freq_base"),
            "rms_norm_eps": field(reader, "llama.attention.layer_norm_rms_epsilon"),
            "max_position_embeddings": field(reader, "llama.context_length"),
            "tie_word_embeddings": "output.weight" not in names}


def hf_name(name):
    top = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
           "output.weight": "lm_head.weight"}
    if name in top:
        return top[name]
    _, i, part, kind = name.split(".")
    norms = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    return f"model.layers.{i}.{LINEARS.get(part) or norms[part]}.{kind}"


def load(path, torch):
    """The model with the file's weights, copied tensor by tensor: no second copy raises the peak."""
    import gguf
    from transformers import LlamaConfig, LlamaForCausalLM
    if not path:
        return LlamaForCausalLM(LlamaConfig(use_cache=False, **SMOLLM2))
    reader = gguf.GGUFReader(path)
    config = LlamaConfig(use_cache=False, **read_config(reader))
    model = LlamaForCausalLM(config)
    params = dict(model.named_parameters())
    for t in reader.tensors:
        w = torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).copy())
        if ".attn_q." in t.name or ".attn_k." in t.name:
            heads = config.num_attention_heads if ".attn_q." in t.name else config.num_key_value_heads
            w = w.reshape(heads, w.shape[0] // heads // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)
        with torch.no_grad():
            params[hf_name(t.name)].copy_(w)
    return model


def peak_rss():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def run_case(o):
    import torch
    from peft import LoraConfig, get_peft_model
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    model = load(o.model, torch)
    model = get_peft_model(model, LoraConfig(r=o.rank, lora_alpha=2 * o.rank, lora_dropout=0.0,
                                             target_modules=[v.split(".")[1] for v in LINEARS.values()]))
    if o.checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    ids = torch.randint(0, model.config.vocab_size, (o.rows, o.length))
    seconds, first = [], None
    for _ in range(o.warm_up + o.steps):
        start = time.perf_counter()
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - start)
        first = loss.item() if first is None else first
    median = statistics.median(seconds[o.warm_up:])
    print(json.dumps({"peer": "transformers+peft", "torch": torch.__version__, "dtype": "f32", "rank": o.rank,
                      "rows": o.rows, "length": o.length, "threads": o.threads,
                      "gradient_checkpointing": o.checkpointing, "weights": o.model or "random",
                      "tokens_per_second": round(o.rows * o.length / median, 1),
                      "seconds_per_step": round(median, 3),
                      "seconds": [round(s, 3) for s in seconds], "peak_rss_bytes": peak_rss(),
                      "first_loss": round(first, 4)}), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", help="GGUF of the llama architecture (default: random weights, SmolLM2-135M's shape)")
    p.add_argument("--rows", type=int, default=4)
    p.add_argument("--length", type=int, default=256)
    p.add_argument("--rank", type=int, default=16)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--warm-up", type=int, default=1)
    p.add_argument("--steps", type=int, default=4)
    p.add_argument("--case", choices=["plain", "checkpointing"], help="run one case in this process")
    o = p.parse_args()
    if o.case:
        o.checkpointing = o.case == "checkpointing"
        run_case(o)
        return
    for case in ("plain", "checkpointing"):
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--case", case], check=True)


if __name__ == "__main__":
    main()
