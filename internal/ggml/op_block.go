package ggml

// #include "ops.h"
import "C"

// Norm: y = x * w / sqrt(mean(x^2) + eps) for each row of x [d, n], or of each head of [d, heads, n].
func (g *Graph) Norm(y, x, w *Tensor, eps float32) {
	const op = "norm"
	if g.f32(op, w, x.Ne(0), 1) && g.alike(op, x, y) {
		g.add(C.QLORA_OP_NORM, y, opParams{f: [2]float32{eps}}, x, w)
	}
}

// NormBack: the VJP of Norm in x, added to dx when accumulate is set.
func (g *Graph) NormBack(dx, dy, x, w *Tensor, accumulate bool, eps float32) {
	const op = "norm back"
	if g.f32(op, w, x.Ne(0), 1) && g.alike(op, x, dy, dx) {
		g.add(C.QLORA_OP_NORM_BACK, dx, opParams{i: [6]int32{flag(accumulate)}, f: [2]float32{eps}}, dy, x, w)
	}
}

// NormBackWeight: dw[d] += the VJP of Norm in w.
func (g *Graph) NormBackWeight(dw, dy, x *Tensor, eps float32, scratch *Tensor) {
	const op = "norm back weight"
	if g.f32(op, dw, x.Ne(0), 1) && g.alike(op, x, dy) {
		g.add(C.QLORA_OP_NORM_BACK_W, dw, opParams{f: [2]float32{eps}}, dy, x, scratch)
	}
}

// RopeTable fills table [rotated dimensions, n] with magnitude*cos and magnitude*sin of positions x frequencies.
func (g *Graph) RopeTable(table, positions, frequencies *Tensor, magnitude float32) {
	const op = "rope table"
	if g.indices(op, positions, table.Ne(1)) && g.f32(op, frequencies, table.Ne(0)/2, 1) && g.f32(op, table, table.Ne(0), table.Ne(1)) {
		g.add(C.QLORA_OP_ROPE_TABLE, table, opParams{f: [2]float32{magnitude}}, positions, frequencies)
	}
}

// Rope rotates each head of x into y (which may be x): neox pairs dimension i with i+half, otherwise 2i with 2i+1.
// inverse applies the transposed rotation, which is the VJP.
func (g *Graph) Rope(y, x, table *Tensor, headDim int64, neox, inverse bool) {
	const op = "rope"
	if !g.matrix(op, y, x.Ne(0), x.Ne(1)) || !g.same(op, x, y) || !g.f32(op, table, table.Ne(0), x.Ne(1)) {
		return
	}
	if headDim < table.Ne(0) || x.Ne(0)%headDim != 0 {
		g.fail(op, "%s is not whole heads of %d, or the table is wider", x, headDim)
		return
	}
	g.add(C.QLORA_OP_ROPE, y, opParams{i: [6]int32{int32(headDim), flag(neox), flag(inverse)}}, x, table)
}

// AttentionShape describes grouped-query attention: Window 0 means no sliding window.
type AttentionShape struct {
	HeadDim, Heads, KVHeads, Window int64
	Scale                           float32
}

func (s AttentionShape) params() opParams {
	return opParams{i: [6]int32{int32(s.HeadDim), int32(s.Heads), int32(s.KVHeads), int32(s.Window)}, f: [2]float32{s.Scale}}
}

func (g *Graph) attention(op string, s AttentionShape, q, k, v, segments *Tensor) bool {
	if g.err == nil && (s.KVHeads < 1 || s.Heads%s.KVHeads != 0) {
		g.fail(op, "%d heads are not a multiple of %d kv heads", s.Heads, s.KVHeads)
	}
	n := q.Ne(1)
	return g.matrix(op, q, s.HeadDim*s.Heads, n) && g.matrix(op, k, s.HeadDim*s.KVHeads, n) &&
		g.matrix(op, v, s.HeadDim*s.KVHeads, n) && g.same(op, q, k, v) && g.indices(op, segments, n)
}

// Attention writes O [head dim * heads, n] to out and the log-sum-exp [heads, n] to lse.
func (g *Graph) Attention(out, lse, q, k, v, segments *Tensor, s AttentionShape, scratch *Tensor) {
	const op = "attention"
	n := q.Ne(1)
	if g.attention(op, s, q, k, v, segments) && g.matrix(op, out, s.HeadDim*s.Heads, n) && g.same(op, q, out) && g.f32(op, lse, s.Heads, n) {
		g.add(C.QLORA_OP_ATTN, out, s.params(), q, k, v, segments, scratch, lse)
	}
}

// AttentionBack writes dQ, dK and dV side by side to the columns of out; o and lse are what Attention wrote.
func (g *Graph) AttentionBack(out, q, k, v, o, lse, do, segments *Tensor, s AttentionShape, scratch *Tensor) {
	const op = "attention back"
	n, qd := q.Ne(1), s.HeadDim*s.Heads
	if g.attention(op, s, q, k, v, segments) && g.matrix(op, o, qd, n) && g.matrix(op, do, qd, n) && g.f32(op, lse, s.Heads, n) &&
		g.matrix(op, out, qd+2*s.HeadDim*s.KVHeads, n) && g.same(op, q, o, do, out) {
		g.add(C.QLORA_OP_ATTN_BACK, out, s.params(), q, k, v, o, do, segments, scratch, lse)
	}
}

// SwiGLU: y = silu(gate) * up.
func (g *Graph) SwiGLU(y, gate, up *Tensor) {
	const op = "swiglu"
	if g.matrix(op, gate, y.Ne(0), y.Ne(1)) && g.matrix(op, up, y.Ne(0), y.Ne(1)) && g.same(op, y, gate, up) {
		g.add(C.QLORA_OP_SWIGLU, y, opParams{}, gate, up)
	}
}

// SwiGLUBack writes dgate and dup side by side to the columns of out.
func (g *Graph) SwiGLUBack(out, dy, gate, up *Tensor) {
	const op = "swiglu back"
	if g.matrix(op, gate, dy.Ne(0), dy.Ne(1)) && g.matrix(op, up, dy.Ne(0), dy.Ne(1)) && g.matrix(op, out, 2*dy.Ne(0), dy.Ne(1)) && g.same(op, dy, gate, up, out) {
		g.add(C.QLORA_OP_SWIGLU_BACK, out, opParams{}, dy, gate, up)
	}
}

// Add: y = a + b; y may be either.
func (g *Graph) Add(y, a, b *Tensor) {
	const op = "add"
	if g.matrix(op, a, y.Ne(0), y.Ne(1)) && g.matrix(op, b, y.Ne(0), y.Ne(1)) {
		g.add(C.QLORA_OP_ADD, y, opParams{}, a, b)
	}
}

// Copy: y = x, in y's type.
func (g *Graph) Copy(y, x *Tensor) {
	if g.matrix("copy", y, x.Ne(0), x.Ne(1)) && g.matrix("copy", x, x.Ne(0), x.Ne(1)) {
		g.add(C.QLORA_OP_COPY, y, opParams{}, x)
	}
}

// Zero: y = 0.
func (g *Graph) Zero(y *Tensor) {
	if g.matrix("zero", y, y.Ne(0), y.Ne(1)) {
		g.add(C.QLORA_OP_ZERO, y, opParams{})
	}
}

// Dropout: y = x * keep / (1-p), added to y when accumulate is set. The mask is a function of the two words in seed, of
// stream and of the element's place, so the VJP is the same node applied to dy.
func (g *Graph) Dropout(y, x, seed *Tensor, stream int32, p float32, accumulate bool) {
	const op = "dropout"
	if g.err == nil && (p < 0 || p >= 1) {
		g.fail(op, "probability %g is not in [0, 1)", p)
	}
	if g.matrix(op, y, x.Ne(0), x.Ne(1)) && g.indices(op, seed, 2) {
		g.add(C.QLORA_OP_DROPOUT, y, opParams{i: [6]int32{stream, flag(accumulate)}, f: [2]float32{p}}, x, seed)
	}
}
