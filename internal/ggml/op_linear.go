package ggml

// #include "ops.h"
import "C"

// Weight checks that w is a weight matrix [in, out] of a base type.
func (g *Graph) weight(op string, w *Tensor) bool {
	if g.err != nil {
		return false
	}
	if w == nil || !w.Type().IsBase() || w.Ne(2) != 1 || w.Ne(3) != 1 {
		g.fail(op, "%s is not a weight matrix", w)
		return false
	}
	return true
}

// Init says what the rows of a linear's result start from.
type Init struct {
	mode C.enum_qlora_init
	t    *Tensor
}

// Zero starts from zero.
func Zero() Init { return Init{mode: C.QLORA_INIT_ZERO} }

// Accumulate keeps what the destination held.
func Accumulate() Init { return Init{mode: C.QLORA_INIT_ACCUMULATE} }

// Bias starts every row from b [out].
func Bias(b *Tensor) Init { return Init{mode: C.QLORA_INIT_BIAS, t: b} }

// Residual starts from r [out, n].
func Residual(r *Tensor) Init { return Init{mode: C.QLORA_INIT_RESIDUAL, t: r} }

// Linear: y[out, n] = init + alpha * w . x, for w [in, out] of any base type and x [in, n].
func (g *Graph) Linear(y, w, x *Tensor, init Init, alpha float32, scratch *Tensor) {
	const op = "linear"
	if !g.weight(op, w) || !g.matrix(op, x, w.Ne(0), x.Ne(1)) || !g.matrix(op, y, w.Ne(1), x.Ne(1)) {
		return
	}
	switch init.mode {
	case C.QLORA_INIT_BIAS:
		if !g.f32(op, init.t, w.Ne(1), 1) {
			return
		}
	case C.QLORA_INIT_RESIDUAL:
		if !g.matrix(op, init.t, w.Ne(1), x.Ne(1)) || !g.same(op, y, init.t) {
			return
		}
	}
	g.add(C.QLORA_OP_LINEAR, y, opParams{i: [6]int32{int32(init.mode)}, f: [2]float32{alpha}}, w, x, init.t, scratch)
}

// LinearBack: dx[in, n] = alpha * transpose(w) . dy, added to dx when accumulate is set.
func (g *Graph) LinearBack(dx, w, dy *Tensor, accumulate bool, alpha float32, scratch *Tensor) {
	const op = "linear back"
	if !g.weight(op, w) || !g.matrix(op, dy, w.Ne(1), dy.Ne(1)) || !g.matrix(op, dx, w.Ne(0), dy.Ne(1)) {
		return
	}
	g.add(C.QLORA_OP_LINEAR_BACK, dx, opParams{i: [6]int32{flag(accumulate)}, f: [2]float32{alpha}}, w, dy, scratch)
}

// Outer: dw[in, out] += alpha * sum over tokens of dy[out, t] x[in, t].
func (g *Graph) Outer(dw, dy, x *Tensor, alpha float32, scratch *Tensor) {
	const op = "outer"
	if !g.matrix(op, x, x.Ne(0), dy.Ne(1)) || !g.same(op, dy, x) || !g.f32(op, dw, x.Ne(0), dy.Ne(0)) {
		return
	}
	g.add(C.QLORA_OP_OUTER, dw, opParams{f: [2]float32{alpha}}, dy, x, scratch)
}

// BiasBack: db[out] += sum over tokens of dy.
func (g *Graph) BiasBack(db, dy *Tensor) {
	if g.f32("bias back", db, dy.Ne(0), 1) {
		g.add(C.QLORA_OP_BIAS_BACK, db, opParams{}, dy)
	}
}

func flag(b bool) int32 {
	if b {
		return 1
	}
	return 0
}
