"""Which rounding to 16 bits costs how much of the gradient: the CUDA engine's forward and backward pass, emulated in torch.

Products have F32 sums, and values are rounded where the engine rounds them (SITES below); any set of these places can be
switched off. Errors are relative, against the same computation in F32, of adapters r=8 with seeded non-zero A and B on every
linear. A draw is another pattern of the same rounding: instead of x, c x is rounded and divided by c, with c between 1 and 2
another for each place and block. Draw 0 has c = 1, and is what the device computes but for the order of its sums.

    rounding.py sets --model SmolLM2-135M-Instruct.Q4_1.gguf --dtype f16 --seeds 6 --draws 2 --sets engine,autocast
        the engine and torch.autocast (emulated) with six adapters, in two draws each
    rounding.py places --model SmolLM2-135M-Instruct.Q4_1.gguf --dtype f16 --draws 3
        every place of the engine alone, and all but that one
    rounding.py sets --model SmolLM2-135M-Instruct.Q4_1.gguf --dtype f16 --row 1 --draws 8 --sets engine,autocast,inputs
        on the row that holds the tokens whose gradient is ill-conditioned
    rounding.py sets --dtype bf16 --seeds 5
        on five random two-block models as internal/engine's tests make them, with torch's own autocast

Needs torch, transformers and gguf.
"""
import argparse
import functools
import math
import os
import statistics
from types import SimpleNamespace

import torch

from autocast_gradients import Adapted, collect
from peft_cpu import LINEARS, hf_name
from rounding_engine import RANK, Engine

HERE = os.path.dirname(os.path.abspath(__file__))
FORWARD = {
    "w": "weights, dequantised", "a": "A", "b": "B, scaled", "h": "norm outputs", "hn": "norm output before the head", "u": "U = A x",
    "qkv": "q, k, v out of their linear", "rope": "q, k after RoPE", "p": "attention's probabilities", "o": "attention's output",
    "gateup": "gate, up", "act": "silu(gate) up",
}
BACKWARD = {
    "dlogits": "gradient of the logits", "dhn": "gradient of the head's input", "dx": "narrowed copies of the residual's gradient",
    "v": "V = B^T dy", "dact": "gradient of silu(gate) up", "dgu": "gradients of gate and up", "dh": "gradients of norm outputs",
    "do": "gradient of attention's output", "delta": "O as delta = O dO reads it", "pb": "probabilities, for dV", "ds": "dS",
    "parts": "parts of dK and dV", "dqkv": "dQ, dK, dV", "drope": "dQ, dK turned back",
}
SITES = [*FORWARD, *BACKWARD]
# What tensor cores read: no engine that feeds them 16-bit values can leave these out.
INPUTS = "w a b h hn u rope p o act dlogits dx v dgu do delta pb ds drope".split()
# torch.autocast rounds what each of two products gives before it adds them, and sums the gradients of a norm's output in F32.
AUTOCAST = [s for s in SITES if s not in ("dh", "dhn")] + ["terms", "silu"]
SETS = {"engine": SITES, "autocast": AUTOCAST, "inputs": INPUTS, "forward": list(FORWARD), "backward": list(BACKWARD), "mixed": SITES + ["outer"]}


class Rounding:
    """What is rounded in a pass: sites, in one draw."""

    layer, backward = 0, False

    def __init__(self, dtype=torch.float32, sites=(), draw=0, back=None):
        self.dtypes, self.sites, self.factors = (dtype, back or dtype), set(sites), {}
        self.random = torch.Generator().manual_seed(draw) if draw else None

    def factor(self, site):
        if self.random is None:
            return 1.0
        if (site, self.layer) not in self.factors:
            self.factors[site, self.layer] = 2 ** torch.rand((), generator=self.random)
        return self.factors[site, self.layer]

    def __call__(self, site, x):
        if site not in self.sites:
            return x
        c = self.factor(site)
        return (x * c).to(self.dtypes[self.backward]).float() / c


def random_adapters(t, names, deviation, generator):
    out = {}
    for name in names:
        n_out, n_in = t[name].shape
        out[name] = torch.randn(RANK, n_in, generator=generator) / math.sqrt(n_in), torch.randn(n_out, RANK, generator=generator) * deviation
    return out


@functools.cache
def read_gguf(path):
    """Tensors by name, and the shape."""
    import gguf
    reader = gguf.GGUFReader(path)
    get = lambda key: reader.fields["llama." + key].contents()
    t = {x.name: torch.from_numpy(gguf.quants.dequantize(x.data, x.tensor_type).copy()) for x in reader.tensors}
    heads = get("attention.head_count")
    shape = SimpleNamespace(layers=get("block_count"), heads=heads, kv=get("attention.head_count_kv"), dh=get("embedding_length") // heads,
                            eps=get("attention.layer_norm_rms_epsilon"), theta=get("rope.freq_base"))
    return t, shape


def read_model(path, seed, rows=slice(None)):
    """The model of a GGUF with the tokens and adapters of autocast_gradients.py, or some rows of the batch."""
    t, shape = read_gguf(path)
    names = [f"blk.{i}.{part}.weight" for i in range(shape.layers) for part in LINEARS]
    adapters = random_adapters(t, names, 0.02, torch.Generator().manual_seed(seed))
    for name, (a, b) in adapters.items():
        if ".attn_q." in name or ".attn_k." in name:
            adapters[name] = a, neighbours(b, shape.heads if ".attn_q." in name else shape.kv)
    with open(os.path.join(HERE, "tokens_smollm2.txt")) as f:
        ids = torch.tensor([int(x) for x in f.read().split()][:1024]).view(4, 256)
    return Engine(t, shape, adapters, ids[rows])


def neighbours(w, heads):
    """Rows of q or k from transformers' order, halves of a head, to llama.cpp's, pairs."""
    return w.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2).contiguous()


def halves(w, heads):
    return w.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2).contiguous()


def two_blocks(seed):
    """A model as internal/engine's newWideModel makes them, adapters on the head too."""
    g, shape = torch.Generator().manual_seed(seed), SimpleNamespace(layers=2, heads=4, kv=2, dh=64, eps=1e-5, theta=10000.0)
    embd, ffn, vocab = 256, 512, 320
    normal = lambda n_out, n_in, gain: torch.randn(n_out, n_in, generator=g) * gain / math.sqrt(n_in)
    t = {"token_embd.weight": normal(vocab, embd, math.sqrt(embd)), "output.weight": normal(vocab, embd, 2.5)}
    t["output.weight"][torch.randperm(vocab, generator=g)] += 30 * t["token_embd.weight"] / embd
    widths = {"attn_q": (embd, embd), "attn_k": (embd // 2, embd), "attn_v": (embd // 2, embd), "attn_output": (embd, embd),
              "ffn_gate": (ffn, embd), "ffn_up": (ffn, embd), "ffn_down": (embd, ffn)}
    for i in range(shape.layers):
        t |= {f"blk.{i}.{part}.weight": normal(*size, 1.2) for part, size in widths.items()}
    for name in ["output_norm", *(f"blk.{i}.{n}_norm" for i in range(2) for n in ("attn", "ffn"))]:
        t[name + ".weight"] = 1 + 0.1 * torch.randn(embd, generator=g)
    names = ["output.weight", *(n for n in t if n.startswith("blk.") and "norm" not in n)]
    return Engine(t, shape, random_adapters(t, names, 0.03, g), torch.randint(0, vocab, (2, 125), generator=g))


def torch_autocast(e, dtype):
    """The gradients of transformers' model with e's weights and adapters under torch.autocast, on the CPU."""
    from transformers import LlamaConfig, LlamaForCausalLM
    vocab, embd = e.t["token_embd.weight"].shape
    config = LlamaConfig(use_cache=False, hidden_size=embd, intermediate_size=e.t["blk.0.ffn_up.weight"].shape[0], vocab_size=vocab,
                         num_hidden_layers=e.c.layers, num_attention_heads=e.c.heads, num_key_value_heads=e.c.kv, rope_theta=e.c.theta,
                         rms_norm_eps=e.c.eps, tie_word_embeddings=False)
    model = LlamaForCausalLM(config).requires_grad_(False)
    order = lambda name, w: halves(w, e.c.heads if ".attn_q." in name else e.c.kv) if ".attn_q." in name or ".attn_k." in name else w
    model.load_state_dict({hf_name(name): order(name, w) for name, w in e.t.items()})
    adapted = {}
    for name, (a, b) in e.adapters.items():
        path, _, child = hf_name(name).removesuffix(".weight").rpartition(".")
        parent = model.get_submodule(path)
        adapted[name] = m = Adapted(getattr(parent, child), torch.Generator())
        m.a.data, m.b.data = a.clone(), order(name, b)
        setattr(parent, child, m)
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        model(input_ids=e.ids, labels=e.ids).loss.backward()
    back = lambda k, w: neighbours(w, e.c.heads if ".attn_q." in k else e.c.kv) if k.endswith("_b") and (".attn_q." in k or ".attn_k." in k) else w
    return {k: back(k, g) for k, g in collect(adapted).items()}


def errors(got, want):
    """Of the whole gradient, the mean over the tensors, the worst of them."""
    each = [((got[k] - g).norm() / g.norm()).item() for k, g in want.items()]
    whole = sum((got[k] - g).square().sum() for k, g in want.items()) / sum(g.square().sum() for g in want.values())
    return [whole.sqrt().item(), sum(each) / len(each), max(each)]


class Bench:
    """Errors over cases: adapters of a model, each in some draws, or two-block models."""

    def __init__(self, o):
        self.dtype, self.draws, self.model = getattr(torch, {"f16": "float16", "bf16": "bfloat16"}[o.dtype]), o.draws, o.model
        self.scale = 16384.0 if o.dtype == "f16" else 1.0
        rows = slice(None) if o.row is None else slice(o.row, o.row + 1)
        seeds = range(o.seed, o.seed + o.seeds)
        self.engines = [read_model(o.model, s, rows) if o.model else two_blocks(s) for s in seeds]
        self.want = [e.run(Rounding())[1] for e in self.engines]

    def of(self, sites):
        """mixed, which rounds again what the adapters' gradients read, goes forward in f16 and back in bf16."""
        types = {"dtype": torch.float16, "back": torch.bfloat16} if "outer" in sites else {"dtype": self.dtype}
        return [errors(e.run(Rounding(sites=sites, draw=draw, **types), self.scale)[1], want)
                for e, want in zip(self.engines, self.want) for draw in range(self.draws)]

    def line(self, what, rows, each=False):
        rms = [math.sqrt(sum(r[j] ** 2 for r in rows) / len(rows)) for j in range(2)]
        print(f"{what:55s} whole {rms[0]:.2e}  mean {rms[1]:.2e}  worst {max(r[2] for r in rows):.2e}", flush=True)
        if each and len(rows) > 1:
            print(f"    median {statistics.median(r[0] for r in rows):.2e}, each " + " ".join(f"{r[0]:.2e}" for r in rows), flush=True)

    def torch(self):
        for dtype in (torch.float32, self.dtype):
            rows = [errors(torch_autocast(e, dtype), want) for e, want in zip(self.engines, self.want)]
            self.line(f"torch on the CPU, {'autocast in ' if dtype != torch.float32 else ''}{dtype}".replace("torch.", ""), rows)

    def sets(self, names):
        if not self.model:
            self.torch()
        for name in names:
            self.line(name, self.of(SETS[name]), each=True)

    def places(self):
        for s, what in (FORWARD | BACKWARD).items():
            self.line(f"{s}, {what}: alone", self.of([s]))
            self.line(f"{s}: all others", self.of([x for x in SITES if x != s]))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("what", choices=["sets", "places"])
    p.add_argument("--model", help="GGUF of the llama architecture (default: random two-block models)")
    p.add_argument("--dtype", choices=["f16", "bf16"], default="f16")
    p.add_argument("--seed", type=int, default=1, help="the first, of the adapters or of the two-block models")
    p.add_argument("--seeds", type=int, default=1, help="how many")
    p.add_argument("--draws", type=int, default=1, help="of each")
    p.add_argument("--row", type=int, help="this row of the model's batch alone, 0 to 3")
    p.add_argument("--sets", default=",".join(SETS))
    p.add_argument("--threads", type=int, default=1)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    bench = Bench(o)
    if o.what == "places":
        bench.places()
    else:
        bench.sets(o.sets.split(","))


if __name__ == "__main__":
    main()
