"""Peer for the accuracy of 16-bit gradients: what torch.autocast loses against torch in F32.

The model is read from a GGUF of the llama architecture. LoRA r=8 with seeded non-zero A and B sits on the seven linears of
every block; one batch of 4 x 256 tokens (tokens_smollm2.txt), every next token a target, goes forward and backward in F32,
under autocast in bf16, and in f16 with a scaled loss. Written to --out, a GGUF that internal/engine's
TestGradientsAgainstAutocast reads, rows in the file's order: BASE.lora_a, BASE.lora_b, their gradients in F32 (.grad), the
relative error of each gradient under autocast (autocast.bf16, autocast.f16 in the order of autocast.names), the tokens, and
the model's path. Prints a line a precision.

Needs torch, transformers and gguf. Run: python3 autocast_gradients.py --model SmolLM2-135M-Instruct.Q4_1.gguf --out x.gguf
"""
import argparse
import math
import os

import gguf
import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from peft_cpu import LINEARS, load

ROWS, LENGTH, RANK, ALPHA = 4, 256, 8, 16.0
HERE = os.path.dirname(os.path.abspath(__file__))


class Adapted(torch.nn.Module):
    """A frozen linear with an adapter."""

    def __init__(self, base, generator):
        super().__init__()
        self.base = base
        n_out, n_in = base.weight.shape
        self.a = torch.nn.Parameter(torch.randn(RANK, n_in, generator=generator) / math.sqrt(n_in))
        self.b = torch.nn.Parameter(torch.randn(n_out, RANK, generator=generator) * 0.02)

    def forward(self, x):
        low = torch.nn.functional.linear(x, self.a)
        return self.base(x) + ALPHA / RANK * torch.nn.functional.linear(low, self.b)


def adapt(model, seed):
    """Puts an adapter on every linear; returns them by GGUF name."""
    model.requires_grad_(False)
    generator, out = torch.Generator().manual_seed(seed), {}
    for i, layer in enumerate(model.model.layers):
        for part, path in LINEARS.items():
            group, name = path.split(".")
            parent = getattr(layer, group)
            out[f"blk.{i}.{part}.weight"] = adapted = Adapted(getattr(parent, name), generator)
            setattr(parent, name, adapted)
    return out


def check_rope(model):
    """That the release of transformers took the base of the rotary angles from the file."""
    c = model.config
    theta = getattr(c, "rope_theta", None) or c.rope_parameters["rope_theta"]
    head = c.hidden_size // c.num_attention_heads
    want = 1 / theta ** (torch.arange(0, head, 2) / head)
    assert torch.allclose(model.model.rotary_emb.inv_freq.cpu().float(), want, rtol=1e-5), "rope"


def backward(model, ids, scale=1.0):
    model.zero_grad(set_to_none=True)
    loss = model(input_ids=ids, labels=ids).loss
    (loss * scale).backward()
    return loss.item()


def collect(adapters, scale=1.0):
    return {f"{base}.lora_{k}": getattr(m, k).grad.double().cpu() / scale for base, m in adapters.items() for k in "ab"}


def autocast(model, adapters, ids, dtype, scale):
    """Gradients under autocast; the scale is halved until they are finite."""
    while True:
        with torch.autocast(ids.device.type, dtype=dtype):
            loss = backward(model, ids, scale)
        grads = collect(adapters, scale)
        if all(g.isfinite().all() for g in grads.values()):
            return loss, grads, scale
        assert scale > 1, "no scale gives finite gradients"
        scale /= 2


def to_file(name, t, config):
    """llama.cpp keeps the rows of q and k in another order, and with them those of B."""
    if name.endswith(("lora_b", "lora_b.grad")) and (".attn_q." in name or ".attn_k." in name):
        heads = config.num_attention_heads if ".attn_q." in name else config.num_key_value_heads
        t = t.reshape(heads, 2, t.shape[0] // heads // 2, t.shape[1]).swapaxes(1, 2).reshape(t.shape)
    return np.ascontiguousarray(t.detach().cpu().float().numpy())


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--model", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--seed", type=int, default=1, help="of the adapters")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    o = p.parse_args()
    with open(os.path.join(HERE, "tokens_smollm2.txt")) as f:
        ids = torch.tensor([int(t) for t in f.read().split()][:ROWS * LENGTH], device=o.device).view(ROWS, LENGTH)
    model = load(o.model, torch)
    adapters = adapt(model, o.seed)
    model.to(o.device).eval()
    check_rope(model)

    torch.backends.cuda.matmul.allow_tf32 = False
    with sdpa_kernel(SDPBackend.MATH):
        loss = backward(model, ids)
    want = collect(adapters)
    print(f"adapters {o.seed}, f32 on {o.device}: loss {loss:.6f}, torch {torch.__version__}", flush=True)

    writer = gguf.GGUFWriter(o.out, "llama")
    writer.add_string("autocast.model", os.path.abspath(o.model))
    writer.add_array("autocast.tokens", ids.flatten().tolist())
    writer.add_array("autocast.names", list(want))
    writer.add_float32("autocast.loss", loss)
    for name, dtype, scale in (("bf16", torch.bfloat16, 1.0), ("f16", torch.float16, 65536.0)):
        loss, got, used = autocast(model, adapters, ids, dtype, scale)
        errors = [((got[k] - g).norm() / g.norm()).item() for k, g in want.items()]
        whole = math.sqrt(sum(((got[k] - g).norm() ** 2).item() for k, g in want.items()) / sum((g.norm() ** 2).item() for g in want.values()))
        writer.add_array("autocast." + name, errors)
        writer.add_float32(f"autocast.{name}.whole", whole)
        print(f"autocast {name}: loss {loss:.6f}, loss scale {used:g}, relative error of the gradient {whole:.3e}, mean over {len(errors)} tensors "
              f"{sum(errors) / len(errors):.3e}, worst {max(errors):.3e}", flush=True)
    for base, m in adapters.items():
        for k in "ab":
            name = f"{base}.lora_{k}"
            writer.add_tensor(name, to_file(name, getattr(m, k), model.config))
            writer.add_tensor(name + ".grad", to_file(name + ".grad", want[name], model.config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
