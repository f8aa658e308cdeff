package ggml

// #include "ops.h"
import "C"

import "slices"

// MaxGroup is the largest number of linears in a group.
const MaxGroup = C.QLORA_GROUP

// Group is up to three linears that read the same input, with the adapters of some of them, computed as one product each
// way. Only devices compute groups.
type Group struct {
	W        []*Tensor // [in, out] each
	Adapters *Tensor   // flat F32: every A [in, rank] in the order of W, then every B [rank, out]; nil without adapters
	Adapted  []bool    // which of W have an adapter; nil: none
	Rank     int64
	Scale    float32 // of B A
}

// Tail is the number R of columns that U = A x takes behind a group's input, and V = B^T dy behind its result's gradient.
func (p Group) Tail() int64 { return GroupTail(p.Rank, int64(p.adapters())) }

// GroupTail is Tail for a number of adapters: their ranks, rounded up to whole steps of the matrix kernels.
func GroupTail(rank, adapters int64) int64 {
	return (rank*adapters + C.QLORA_TAIL - 1) / C.QLORA_TAIL * C.QLORA_TAIL
}

// KeptColumns is the width of U that a backward pass needs: the ranks, rounded up to whole packs.
func KeptColumns(rank, adapters int64) int64 { return (rank*adapters + 7) / 8 * 8 }

// In is the width of the input.
func (p Group) In() int64 { return p.W[0].Ne(0) }

// Out is the width of the result.
func (p Group) Out() int64 {
	n := int64(0)
	for _, w := range p.W {
		n += w.Ne(1)
	}
	return n
}

// ScratchElements is the scratch the operations need, in elements of the activations' type.
func (p Group) ScratchElements() int64 { return p.In()*p.Out() + p.Tail()*(p.In()+p.Out()) }

func (p Group) adapters() (n int) {
	for _, has := range p.Adapted {
		if has {
			n++
		}
	}
	return n
}

func (p Group) mask() int32 {
	m := int32(0)
	for i, has := range p.Adapted {
		m |= flag(has) << i
	}
	return m
}

// size is the number of values in Adapters.
func (p Group) size() int64 {
	n := int64(0)
	for i, has := range p.Adapted {
		if has {
			n += p.Rank * (p.In() + p.W[i].Ne(1))
		}
	}
	return n
}

func (g *Graph) group(op string, p Group) bool {
	if g.err == nil && (!g.half || len(p.W) < 1 || len(p.W) > MaxGroup || p.Adapted != nil && len(p.Adapted) != len(p.W)) {
		g.fail(op, "%d weights, or not on a device", len(p.W))
	}
	for _, w := range p.W {
		if !g.weight(op, w) {
			return false
		}
		if w.Ne(0) != p.In() {
			g.fail(op, "%s has another input than %s", w, p.W[0])
		}
	}
	if g.err == nil && p.adapters() > 0 && (p.Adapters == nil || p.Adapters.Type() != F32 || p.Adapters.Elements() != p.size()) {
		g.fail(op, "adapters %s are not %d values of F32", p.Adapters, p.size())
	}
	return g.err == nil
}

// tailed checks that t [d, n] is an activation with room for the tail behind its columns.
func (g *Graph) tailed(op string, t *Tensor, d, tail int64) bool {
	if g.matrix(op, t, d, t.Ne(1)) && int64(t.ptr.nb[1]) < t.Type().RowBytes(d+tail) {
		g.fail(op, "%s has no room for %d columns behind it", t, tail)
	}
	return g.err == nil
}

func (g *Graph) scratchFor(op string, scratch *Tensor, p Group, typ Type) bool {
	if g.err == nil && (scratch == nil || scratch.Bytes() < typ.RowBytes(p.ScratchElements())) {
		g.fail(op, "scratch %s is smaller than %d values of %s", scratch, p.ScratchElements(), typ)
	}
	return g.err == nil
}

// weights pads W to MaxGroup sources and appends more.
func (p Group) sources(more ...*Tensor) []*Tensor {
	return append(append(slices.Clone(p.W), make([]*Tensor, MaxGroup-len(p.W))...), more...)
}

// Group: y [out, n] = init + [W | scale*B] [x; U], where U lies behind the columns of x.
func (g *Graph) Group(y *Tensor, p Group, x *Tensor, init Init, scratch *Tensor) {
	const op = "group"
	if !g.group(op, p) || !g.tailed(op, x, p.In(), p.Tail()) || !g.matrix(op, y, p.Out(), x.Ne(1)) || !g.scratchFor(op, scratch, p, x.Type()) {
		return
	}
	switch init.mode {
	case C.QLORA_INIT_BIAS:
		if !g.f32(op, init.t, p.Out(), 1) {
			return
		}
	case C.QLORA_INIT_RESIDUAL:
		if !g.matrix(op, init.t, p.Out(), x.Ne(1)) || !g.same(op, y, init.t) {
			return
		}
	}
	g.add(C.QLORA_OP_GROUP, y, opParams{i: [6]int32{int32(init.mode), int32(p.Rank), p.mask()}, f: [2]float32{p.Scale}},
		p.sources(x, init.t, p.Adapters, scratch)...)
}

// GroupBack: dx [in, n] = [W; A]^T [dy; V], where V lies behind the columns of dy; added to dx when accumulate is set.
// held says that the scratch still holds the weights as Group left them, which is so right after it and without adapters.
func (g *Graph) GroupBack(dx *Tensor, p Group, dy *Tensor, accumulate, held bool, scratch *Tensor) {
	const op = "group back"
	if g.group(op, p) && g.tailed(op, dy, p.Out(), p.Tail()) && g.matrix(op, dx, p.In(), dy.Ne(1)) && g.scratchFor(op, scratch, p, dy.Type()) {
		g.add(C.QLORA_OP_GROUP_BACK, dx, opParams{i: [6]int32{flag(accumulate), int32(p.Rank), p.mask(), flag(held && p.Tail() == 0)}, f: [2]float32{p.Scale}},
			p.sources(dy, p.Adapters, scratch)...)
	}
}

// GroupU: u [tail, n] = A x, zero in the columns that round the tail up; keep [KeptColumns, n], unless nil, gets a copy.
func (g *Graph) GroupU(u, keep *Tensor, p Group, x, scratch *Tensor) {
	const op = "group u"
	if g.err == nil && keep != nil && !(g.matrix(op, keep, KeptColumns(p.Rank, int64(p.adapters())), x.Ne(1)) && g.same(op, x, keep)) {
		return
	}
	if g.group(op, p) && g.matrix(op, x, p.In(), x.Ne(1)) && g.matrix(op, u, p.Tail(), x.Ne(1)) && g.same(op, x, u) && g.scratchFor(op, scratch, p, x.Type()) {
		g.add(C.QLORA_OP_GROUP_U, u, opParams{i: [6]int32{0, int32(p.Rank), int32(p.adapters())}}, x, p.Adapters, scratch, keep)
	}
}

// GroupV: v [tail, n] = scale * B^T dy, zero in the columns that round the tail up.
func (g *Graph) GroupV(v *Tensor, p Group, dy, scratch *Tensor) {
	const op = "group v"
	if !g.group(op, p) || !g.matrix(op, dy, p.Out(), dy.Ne(1)) || !g.matrix(op, v, p.Tail(), dy.Ne(1)) || !g.same(op, dy, v) || !g.scratchFor(op, scratch, p, dy.Type()) {
		return
	}
	params := opParams{i: [6]int32{0, int32(p.Rank), p.mask()}, f: [2]float32{p.Scale}}
	for i, w := range p.W {
		params.i[3+i] = int32(w.Ne(1))
	}
	g.add(C.QLORA_OP_GROUP_V, v, params, dy, p.Adapters, scratch)
}
