package engine

import (
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/model"
)

// norm is an RMSNorm weight with its gradient under method full.
type norm struct{ w, gw *ggml.Tensor }

func (e *Engine) norm(w *model.Weight) norm {
	if w == nil {
		return norm{}
	}
	if e.o.Method == MethodFull {
		return norm{w: e.t.values[w.Name], gw: e.t.grads[w.Name]}
	}
	return norm{w: w.T}
}

func (e *Engine) normBack(g *ggml.Graph, n norm, dx, dy, x *ggml.Tensor, accumulate bool) {
	if n.gw != nil {
		g.NormBackWeight(n.gw, dy, x, e.p.Eps, e.scratch)
	}
	g.NormBack(dx, dy, x, n.w, accumulate, e.p.Eps)
}

// block is one decoder block:
//
//	h = norm(x); q, k, v = rope(Wq h), rope(Wk h), Wv h; mid = x + Wo attention(q, k, v)
//	h = norm(mid); y = mid + Wdown (silu(Wgate h) * Wup h)
type block struct {
	attnNorm, ffnNorm, qNorm, kNorm norm
	q, k, v, o, gate, up, down      linear
}

func (e *Engine) block(b *model.Block) block {
	return block{
		attnNorm: e.norm(&b.AttnNorm), ffnNorm: e.norm(&b.FFNNorm), qNorm: e.norm(b.QNorm), kNorm: e.norm(b.KNorm),
		q: e.linear(b.Q), k: e.linear(b.K), v: e.linear(b.V), o: e.linear(b.O),
		gate: e.linear(b.Gate), up: e.linear(b.Up), down: e.linear(b.Down),
	}
}

// blockForward adds the nodes that take x to y and fill kept.
func (e *Engine) blockForward(g *ggml.Graph, b *block, y, x *ggml.Tensor, k *kept, training bool) {
	h := e.tmp.h
	g.Norm(h, x, b.attnNorm.w, e.p.Eps)
	e.forward(g, &b.q, k.qRaw, h, nil, k.u[0], training)
	e.forward(g, &b.k, k.kRaw, h, nil, k.u[1], training)
	e.forward(g, &b.v, k.v, h, nil, k.u[2], training)
	e.rotate(g, b.qNorm, k.q, k.qRaw, k.qHeads, k.qRawHeads)
	e.rotate(g, b.kNorm, k.k, k.kRaw, k.kHeads, k.kRawHeads)
	g.Attention(k.att, k.q, k.k, k.v, e.in.segments, e.shape, e.scratch)
	e.forward(g, &b.o, k.mid, k.o, x, k.u[3], training)
	e.mlpForward(g, b, y, k, training)
}

func (e *Engine) mlpForward(g *ggml.Graph, b *block, y *ggml.Tensor, k *kept, training bool) {
	h := e.tmp.h
	g.Norm(h, k.mid, b.ffnNorm.w, e.p.Eps)
	e.forward(g, &b.gate, k.gate, h, nil, k.u[4], training)
	e.forward(g, &b.up, k.up, h, nil, k.u[5], training)
	g.SwiGLU(e.tmp.act, k.gate, k.up)
	if y == nil { // recomputation: the block's result is known, only what the adapter kept is not
		if b.down.a != nil {
			g.Linear(k.u[6], b.down.a, e.dropped(g, &b.down, e.tmp.act, training), ggml.Zero(), 1, e.scratch)
		}
		return
	}
	e.forward(g, &b.down, y, e.tmp.act, k.mid, k.u[6], training)
}

// rotate turns raw projections into rotated ones, normalised head by head first where the model does so. Without that norm
// raw and rotated share their memory.
func (e *Engine) rotate(g *ggml.Graph, n norm, y, raw, yHeads, rawHeads *ggml.Tensor) {
	if n.w != nil {
		g.Norm(yHeads, rawHeads, n.w, e.p.Eps)
		raw = y
	}
	g.Rope(y, raw, e.in.table, e.p.HeadDim, e.p.Rope.Neox, false)
}

// blockBackward adds the nodes that turn the gradient dx of the block's result into that of its input, in place.
// first is set for the block whose input needs no gradient.
func (e *Engine) blockBackward(g *ggml.Graph, b *block, dx, x *ggml.Tensor, k *kept, first bool) {
	e.mlpBackward(g, b, dx, k)
	t := &e.tmp
	e.backward(g, &b.o, t.do, dx, k.o, k.u[3], false)
	g.AttentionBack(t.dqkv, k.q, k.k, k.v, k.att, t.do, e.in.segments, e.shape, e.scratch)
	e.rotateBack(g, b.qNorm, t.dq, t.dqHeads, k.qRawHeads)
	e.rotateBack(g, b.kNorm, t.dk, t.dkHeads, k.kRawHeads)
	g.Norm(t.h, x, b.attnNorm.w, e.p.Eps)
	dh := t.dh
	if first {
		dh = nil
	}
	e.backward(g, &b.q, dh, t.dq, t.h, k.u[0], false)
	e.backward(g, &b.k, dh, t.dk, t.h, k.u[1], true)
	e.backward(g, &b.v, dh, t.dv, t.h, k.u[2], true)
	if !first {
		e.normBack(g, b.attnNorm, dx, t.dh, x, true)
	}
}

func (e *Engine) mlpBackward(g *ggml.Graph, b *block, dx *ggml.Tensor, k *kept) {
	t := &e.tmp
	g.SwiGLU(t.act, k.gate, k.up)
	e.backward(g, &b.down, t.dact, dx, t.act, k.u[6], false)
	g.SwiGLUBack(t.dgu, t.dact, k.gate, k.up)
	g.Norm(t.h, k.mid, b.ffnNorm.w, e.p.Eps)
	e.backward(g, &b.gate, t.dh, t.dgate, t.h, k.u[4], false)
	e.backward(g, &b.up, t.dh, t.dup, t.h, k.u[5], true)
	e.normBack(g, b.ffnNorm, dx, t.dh, k.mid, true)
}

func (e *Engine) rotateBack(g *ggml.Graph, n norm, d, dHeads, rawHeads *ggml.Tensor) {
	g.Rope(d, d, e.in.table, e.p.HeadDim, e.p.Rope.Neox, true)
	if n.w != nil {
		e.normBack(g, n, dHeads, dHeads, rawHeads, false)
	}
}
