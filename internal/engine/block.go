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
		g.NormBackWeight(n.gw, dy, x, e.p.Eps, e.acts.scratch)
	}
	g.NormBack(dx, dy, x, n.w, accumulate, e.p.Eps)
}

// block is one decoder block:
//
//	h = norm(x); q, k, v = rope(Wq h), rope(Wk h), Wv h; mid = x + Wo attention(q, k, v)
//	h = norm(mid); y = mid + Wdown (silu(Wgate h) * Wup h)
type block struct {
	attnNorm, ffnNorm, qNorm, kNorm norm
	qkv, o, gateUp, down            group
}

func (e *Engine) block(b *model.Block) block {
	return block{
		attnNorm: e.norm(&b.AttnNorm), ffnNorm: e.norm(&b.FFNNorm), qNorm: e.norm(b.QNorm), kNorm: e.norm(b.KNorm),
		qkv: e.group(b.Q, b.K, b.V), o: e.group(b.O), gateUp: e.group(b.Gate, b.Up), down: e.group(b.Down),
	}
}

// blockForward adds the nodes that take x to y and fill kept.
func (e *Engine) blockForward(g *ggml.Graph, b *block, y, x *ggml.Tensor, k *kept, training bool) {
	h := e.acts.tmp.h
	g.Norm(h.all, x, b.attnNorm.w, e.p.Eps)
	e.forward(g, &b.qkv, k.raw, h, nil, k.u[groupQKV], training)
	if b.qNorm.w != nil {
		g.Norm(k.qHeads, k.qRawHeads, b.qNorm.w, e.p.Eps)
		g.Norm(k.kHeads, k.kRawHeads, b.kNorm.w, e.p.Eps)
	}
	e.rotate(g, k.qk, false)
	g.Attention(k.o.all, k.lse, k.q(), k.k(), k.v(), e.acts.in.segments, e.shape, e.acts.scratch)
	e.forward(g, &b.o, whole(k.mid), k.o, x, k.u[groupO], training)
	e.mlpForward(g, b, y, k, training)
}

func (e *Engine) mlpForward(g *ggml.Graph, b *block, y *ggml.Tensor, k *kept, training bool) {
	h, act := e.acts.tmp.h, e.acts.tmp.act
	g.Norm(h.all, k.mid, b.ffnNorm.w, e.p.Eps)
	e.forward(g, &b.gateUp, k.gateUp, h, nil, k.u[groupGateUp], training)
	g.SwiGLU(act.all, k.gateUp.parts[0], k.gateUp.parts[1])
	if y == nil { // recomputation: the block's result is known, only what the adapter kept is not
		e.adapterOnly(g, &b.down, act, k.u[groupDown], training)
		return
	}
	e.forward(g, &b.down, whole(y), act, k.mid, k.u[groupDown], training)
}

// adapterOnly adds the nodes of A drop(x) without the product, for a group of one.
func (e *Engine) adapterOnly(g *ggml.Graph, gr *group, x span, u *ggml.Tensor, training bool) {
	switch l := &gr.parts[0]; {
	case l.a == nil:
	case e.backend.OnHost():
		g.Linear(u, l.a, e.dropped(g, l, x.all, training), ggml.Zero(), 1, e.acts.scratch)
	default:
		e.adapterIn(g, gr, x, u, training)
	}
}

// rotate turns query and key, the first columns of x, by their position in place, or back.
func (e *Engine) rotate(g *ggml.Graph, x span, inverse bool) {
	qk := e.columns(x.buffer, 0, e.qWidth()+e.kvWidth())
	g.Rope(qk, qk, e.acts.in.table, e.p.HeadDim, e.p.Rope.Neox, inverse)
}

// blockBackward adds the nodes that turn the gradient dx of the block's result into that of its input, in place.
// first is set for the block whose input needs no gradient, recomputed where blockForward has just left its temporaries.
func (e *Engine) blockBackward(g *ggml.Graph, b *block, x *ggml.Tensor, k *kept, first, recomputed bool) {
	e.mlpBackward(g, b, k, recomputed)
	t, dx := &e.acts.tmp, e.acts.dx
	e.backward(g, &b.o, t.do, e.narrowed(g), k.o, k.u[groupO], false)
	g.AttentionBack(t.dqkv.all, k.q(), k.k(), k.v(), k.o.all, k.lse, t.do, e.acts.in.segments, e.shape, e.acts.scratch)
	e.rotate(g, t.dqkv, true)
	if b.qNorm.w != nil {
		e.normBack(g, b.qNorm, t.dqHeads, t.dqHeads, k.qRawHeads, false)
		e.normBack(g, b.kNorm, t.dkHeads, t.dkHeads, k.kRawHeads, false)
	}
	g.Norm(t.h.all, x, b.attnNorm.w, e.p.Eps)
	dh := t.dh
	if first {
		dh = nil
	}
	e.backward(g, &b.qkv, dh, t.dqkv, t.h, k.u[groupQKV], false)
	if !first {
		e.normBack(g, b.attnNorm, dx, t.dh, x, true)
	}
}

func (e *Engine) mlpBackward(g *ggml.Graph, b *block, k *kept, recomputed bool) {
	t := &e.acts.tmp
	gate, up := k.gateUp.parts[0], k.gateUp.parts[1]
	if !recomputed {
		g.SwiGLU(t.act.all, gate, up)
		g.Norm(t.h.all, k.mid, b.ffnNorm.w, e.p.Eps)
	}
	e.backward(g, &b.down, t.dact, e.narrowed(g), t.act, k.u[groupDown], false)
	g.SwiGLUBack(t.dgu.all, t.dact, gate, up)
	e.backward(g, &b.gateUp, t.dh, t.dgu, t.h, k.u[groupGateUp], false)
	e.normBack(g, b.ffnNorm, e.acts.dx, t.dh, k.mid, true)
}

// narrowed is dx as a group's product reads it: on a device a copy in the activations' type, with room behind it.
func (e *Engine) narrowed(g *ggml.Graph) span {
	if e.backend.OnHost() {
		return whole(e.acts.dx)
	}
	wide := e.acts.tmp.dwide
	g.Copy(wide.all, e.acts.dx)
	return wide
}
