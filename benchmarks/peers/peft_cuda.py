"""Peer for the CUDA training benchmark: transformers + PEFT LoRA on a Qwen2 of a named shape with random weights.

The base is BF16 and frozen; LoRA r=16, alpha 32 on the seven linears of every block, its weights in F32; sdpa attention,
autocast to BF16, fused AdamW; every token of every row is trained and nothing is padded. Checkpointing, where asked for,
is that of transformers, without reentry.

Reads cases from stdin, one JSON line each: {"shape": "7b", "rows": 4, "length": 2048, "recompute": true, "steps": 6,
"warmup": 2}. Answers with one JSON line each: tokens/s, the median of the steps after the warm-up, the seconds of all,
peak bytes as torch allocated and reserved them, the last loss; or {"error": ...}. The first line, before any case, is
the ceiling of the card: the rate of BF16 products of 8192 x 8192 random matrices in FLOP/s, the median of the measured.

Needs torch with CUDA, transformers and peft. benchmarks/train_cuda.py runs it.
"""
import gc
import json
import statistics
import sys
import time

import torch
import transformers
from peft import LoraConfig, get_peft_model
from shapes import SHAPES

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def seconds_of(work):
    """Seconds that the device needs for work, waiting before and after."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_ceiling(n=8192, rounds=30, warmup=10):
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    c = torch.empty_like(a)
    times = [seconds_of(lambda: torch.matmul(a, b, out=c)) for _ in range(rounds + warmup)]
    return 2 * n**3 / statistics.median(times[warmup:])


def build(case):
    config = transformers.Qwen2Config(**SHAPES[case["shape"]], max_position_embeddings=max(32768, case["length"]), use_cache=False,
                                      attn_implementation="sdpa")
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda"):
        model = transformers.Qwen2ForCausalLM(config)
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LINEARS))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    if case["recompute"]:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model.train()


def measure(case):
    torch.manual_seed(0)
    model = build(case)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
    ids = torch.randint(0, SHAPES[case["shape"]]["vocab_size"], (case["rows"], case["length"]), device="cuda")
    torch.cuda.reset_peak_memory_stats()
    loss = None

    def step():
        nonlocal loss
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    times = [seconds_of(step) for _ in range(case["steps"])]
    return {"tokens_per_second": ids.numel() / statistics.median(times[case["warmup"]:]), "step_seconds": times, "loss": loss.item(),
            "peak_allocated_bytes": torch.cuda.max_memory_allocated(), "peak_reserved_bytes": torch.cuda.max_memory_reserved()}


def answer(case):
    try:
        return measure(case)
    except torch.cuda.OutOfMemoryError:
        return {"error": "out of memory"}
    except Exception as e:  # the table has a place for it, and the other cases can go on
        return {"error": f"{type(e).__name__}: {e}"}


def main():
    torch.backends.cuda.matmul.allow_tf32 = True
    transformers.logging.set_verbosity_error()
    print(json.dumps({"ceiling_flops": measure_ceiling(), "device": torch.cuda.get_device_name(), "torch": torch.__version__,
                      "transformers": transformers.__version__}), flush=True)
    for line in sys.stdin:
        result = answer(json.loads(line))
        gc.collect()
        torch.cuda.empty_cache()
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
