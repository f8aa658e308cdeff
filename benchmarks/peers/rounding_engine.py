"""The engine's forward and backward pass in torch, for rounding.py: r(place, x) is x, or x rounded to 16 bits."""
import math
from types import SimpleNamespace

import torch

RANK, ALPHA = 8, 16.0
GROUPS = {"qkv": ("attn_q", "attn_k", "attn_v"), "o": ("attn_output",), "gate_up": ("ffn_gate", "ffn_up"), "down": ("ffn_down",)}


def inverse_rms(x, eps):
    return torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


def norm(x, w, eps):
    return x * inverse_rms(x, eps) * w


def norm_back(dy, x, w, eps):
    r, g = inverse_rms(x, eps), dy * w
    return r * g - x * r**3 * (g * x).mean(-1, keepdim=True)


def by_head(x):
    """[rows, n, heads, dh] as [rows, heads, n, dh], or back."""
    return x.transpose(1, 2)


class Engine:
    """A llama of F32 tensors t by GGUF name with adapters (A [r, in], B [out, r]) by base name, on token ids [rows, n]."""

    def __init__(self, t, shape, adapters, ids):
        self.t, self.c, self.adapters, self.ids = t, shape, adapters, ids
        turns = torch.arange(ids.shape[1])[:, None] / shape.theta ** (torch.arange(0, shape.dh, 2) / shape.dh)
        self.cos, self.sin = turns.cos()[:, None], turns.sin()[:, None]
        self.hidden = ~torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()

    def rotate(self, x, sign=1.0):
        a, b, sin = x[..., 0::2], x[..., 1::2], sign * self.sin
        return torch.stack([a * self.cos - b * sin, a * sin + b * self.cos], -1).flatten(-2)

    def weight(self, name):
        return self.t["token_embd.weight" if name == "output.weight" and name not in self.t else name]

    def names(self, i, group):
        return ["output.weight"] if group == "head" else [f"blk.{i}.{part}.weight" for part in GROUPS[group]]

    def group(self, i, group, x):
        """The results of the linears that read x, and their U."""
        r, ys, us = self.r, [], []
        for name in self.names(i, group):
            y, u = r("terms", x @ r("w", self.weight(name)).T), None
            if name in self.adapters:
                a, b = self.adapters[name]
                u = r("u", x @ r("a", a).T)
                y = r("terms", y + r("terms", u @ (ALPHA / RANK * r("b", b)).T))
            ys.append(y)
            us.append(u)
        return ys, us

    def group_back(self, i, group, dys, x, us):
        """The gradient of x; those of the adapters go to self.grads."""
        r, dx = self.r, 0
        x = r("outer", x)
        for name, dy, u in zip(self.names(i, group), dys, us):
            dx = dx + r("terms", dy @ r("w", self.weight(name)))
            if u is None:
                continue
            a, b = self.adapters[name]
            v = r("v", ALPHA / RANK * (dy @ r("b", b)))
            self.grads[name + ".lora_a"] = (v.flatten(0, -2).T @ x.flatten(0, -2)).double()
            self.grads[name + ".lora_b"] = (ALPHA / RANK * dy.flatten(0, -2).T @ r("outer", u).flatten(0, -2)).double()
            dx = dx + r("terms", v @ r("a", a))
        return dx

    def heads(self, *xs):
        """Every one with as many heads as there are queries."""
        return [by_head(x).repeat_interleave(self.c.heads // x.shape[2], 1) for x in xs]

    def scores(self, q, k):
        return (q @ k.transpose(-1, -2) * self.c.dh**-0.5).masked_fill(self.hidden, -math.inf)

    def attention(self, q, k, v):
        q, k, v = self.heads(q, k, v)
        s = self.scores(q, k)
        top = s.amax(-1, keepdim=True)
        p = (s - top).exp()
        total = p.sum(-1, keepdim=True)
        return by_head(self.r("p", p) @ v / total), top + total.log()

    def attention_back(self, q, k, v, o, do, lse):
        r, scale = self.r, self.c.dh**-0.5
        q, k, v, o, do = self.heads(q, k, v, o, do)
        p = (self.scores(q, k) - lse).exp()
        ds = r("ds", p * (do @ v.transpose(-1, -2) - (o * do).sum(-1, keepdim=True)))
        dk = r("parts", scale * (ds.transpose(-1, -2) @ q))
        dv = r("parts", r("pb", p).transpose(-1, -2) @ do)
        fold = lambda x: by_head(x.unflatten(1, (self.c.kv, -1)).sum(2))
        return by_head(scale * (ds @ k)), fold(dk), fold(dv)

    def block(self, i, x):
        r, k = self.r, SimpleNamespace(x=x)
        k.h = r("h", norm(x, self.t[f"blk.{i}.attn_norm.weight"], self.c.eps))
        qkv, k.u_qkv = self.group(i, "qkv", k.h)
        q, key, k.v = (r("qkv", y.unflatten(-1, (-1, self.c.dh))) for y in qkv)
        k.q, k.k = r("rope", self.rotate(q)), r("rope", self.rotate(key))
        k.exact, k.lse = self.attention(k.q, k.k, k.v)
        k.o = r("o", k.exact)
        (y,), k.u_o = self.group(i, "o", k.o.flatten(-2))
        k.mid = x + y
        k.h_mlp = r("h", norm(k.mid, self.t[f"blk.{i}.ffn_norm.weight"], self.c.eps))
        gate_up, k.u_gate_up = self.group(i, "gate_up", k.h_mlp)
        k.gate, k.up = (r("gateup", y) for y in gate_up)
        k.act = r("act", r("silu", k.gate * k.gate.sigmoid()) * k.up)
        (y,), k.u_down = self.group(i, "down", k.act)
        return k.mid + y, k

    def block_back(self, i, dx, k):
        r, eps = self.r, self.c.eps
        dact = r("dact", self.group_back(i, "down", [r("dx", dx)], k.act, k.u_down))
        s = k.gate.sigmoid()
        dgu = [r("dgu", dact * k.up * s * (1 + k.gate * (1 - s))), r("dgu", dact * k.gate * s)]
        dh = r("dh", self.group_back(i, "gate_up", dgu, k.h_mlp, k.u_gate_up))
        dx = dx + norm_back(dh, k.mid, self.t[f"blk.{i}.ffn_norm.weight"], eps)
        do = r("do", self.group_back(i, "o", [r("dx", dx)], k.o.flatten(-2), k.u_o)).unflatten(-1, (-1, self.c.dh))
        o = k.o if "delta" in r.sites else k.exact
        dq, dk, dv = (r("dqkv", d) for d in self.attention_back(k.q, k.k, k.v, o, do, k.lse))
        dqkv = [d.flatten(-2) for d in (r("drope", self.rotate(dq, -1)), r("drope", self.rotate(dk, -1)), dv)]
        dh = r("dh", self.group_back(i, "qkv", dqkv, k.h, k.u_qkv))
        return dx + norm_back(dh, k.x, self.t[f"blk.{i}.attn_norm.weight"], eps)

    def head(self, x, scale):
        """The mean loss, and the gradient of x."""
        r, w, labels = self.r, self.t["output_norm.weight"], self.ids[:, 1:, None]
        rows = x[:, :-1]
        hn = r("hn", norm(rows, w, self.c.eps))
        (logits,), u = self.group(0, "head", hn)
        lse = logits.logsumexp(-1, keepdim=True)
        loss = (lse - logits.gather(-1, labels)).mean().item()
        r.backward = True
        d = logits.sub_(lse).exp_().scatter_add_(-1, labels, -torch.ones_like(lse)).mul_(scale / labels.numel())
        dhn = r("dhn", self.group_back(0, "head", [r("dlogits", d)], hn, u))
        dx = torch.zeros_like(x)
        dx[:, :-1] = norm_back(dhn, rows, w, self.c.eps)
        return loss, dx

    def run(self, r, scale=1.0):
        """The loss, and every adapter's gradient with what r rounds."""
        self.r, self.grads, kept = r, {}, []
        r.backward = False
        x = self.t["token_embd.weight"][self.ids]
        for i in range(self.c.layers):
            r.layer = i
            x, k = self.block(i, x)
            kept.append(k)
        r.layer = self.c.layers
        loss, dx = self.head(x, scale)
        for i in reversed(range(self.c.layers)):
            r.layer = i
            dx = self.block_back(i, dx, kept.pop())
        return loss, {name: g / scale for name, g in self.grads.items()}
