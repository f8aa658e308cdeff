package engine

import (
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/model"
)

// groupSizes are the numbers of linears in the groups of a block.
var groupSizes = [groups]int64{groupQKV: 3, groupO: 1, groupGateUp: 2, groupDown: 1}

// group is one to three linears that read the same input. The host computes them one by one; a device computes them, and
// their adapters, as one product.
type group struct {
	parts   []linear
	fused   ggml.Group
	adapted []int        // indices of the parts with an adapter
	bias    *ggml.Tensor // of all parts, one after the other; nil without
	ga      *ggml.Tensor // gradients of every A, [in, rank * adapted]
}

// group assembles the linears; on a device their biases are laid side by side.
func (e *Engine) group(linears ...model.Linear) group {
	var g group
	for i, l := range linears {
		part := e.linear(l)
		g.parts = append(g.parts, part)
		g.fused.W = append(g.fused.W, part.w)
		g.fused.Adapted = append(g.fused.Adapted, part.a != nil)
		if part.a != nil {
			g.adapted = append(g.adapted, i)
		}
	}
	if e.backend.OnHost() || e.o.Method == MethodFull {
		return g
	}
	g.fused.Rank, g.fused.Scale = e.rank(), g.parts[0].scale
	if len(g.adapted) > 0 {
		first, last := linears[g.adapted[0]].Name, linears[g.adapted[len(g.adapted)-1]].Name
		g.fused.Adapters = e.t.span(e.t.w, first+".lora_a", last+".lora_b")
		ga := e.t.span(e.t.g, first+".lora_a", last+".lora_a")
		in := g.fused.In()
		g.ga = e.t.store.View(ga, "gradient of a", 0, in, ga.Elements()/in)
	}
	g.bias = e.biasOf(g.parts)
	return g
}

// biasOf declares a vector for the biases of all parts; fillBiases copies them.
func (e *Engine) biasOf(parts []linear) *ggml.Tensor {
	width, any := int64(0), false
	for _, p := range parts {
		width += p.w.Ne(1)
		any = any || p.bias != nil
	}
	if !any {
		return nil
	}
	return e.biases.New("biases", ggml.F32, width)
}

// fillBiases copies the biases of every group to their place.
func (e *Engine) fillBiases() error {
	for i := range e.blocks {
		b := &e.blocks[i]
		for _, g := range []*group{&b.qkv, &b.o, &b.gateUp, &b.down} {
			if g.bias == nil {
				continue
			}
			values := make([]float32, g.bias.Elements())
			at := int64(0)
			for _, p := range g.parts {
				if p.bias != nil {
					if err := p.bias.GetF32(0, values[at:at+p.w.Ne(1)]); err != nil {
						return err
					}
				}
				at += p.w.Ne(1)
			}
			if err := g.bias.SetF32(0, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// forward adds the nodes of y = W x + bias (+ residual) + scale * B A drop(x) of every part. u keeps A drop(x) for the
// backward pass.
func (e *Engine) forward(g *ggml.Graph, gr *group, y, x span, residual, u *ggml.Tensor, training bool) {
	switch {
	case e.backend.OnHost():
		for i := range gr.parts {
			e.forwardLinear(g, &gr.parts[i], y.parts[i], x.all, residual, e.part(gr, u, i), training)
		}
	case e.o.Method == MethodFull:
		for i, p := range gr.parts {
			e.product(g, ggml.Group{W: []*ggml.Tensor{p.w}}, p.bias, y.parts[i], x, residual)
		}
	default:
		e.adapterIn(g, gr, x, u, training)
		e.product(g, gr.fused, gr.bias, y.all, x, residual)
	}
}

// product adds the nodes of a fused product with what it starts from.
func (e *Engine) product(g *ggml.Graph, fused ggml.Group, bias, y *ggml.Tensor, x span, residual *ggml.Tensor) {
	init := ggml.Zero()
	switch {
	case bias != nil:
		init = ggml.Bias(bias)
	case residual != nil:
		init = ggml.Residual(residual)
	}
	g.Group(y, fused, x.all, init, e.acts.scratch)
	if bias != nil && residual != nil {
		g.Add(y, y, residual)
	}
}

// part is the columns of u that belong to part i of the group, nil where it has no adapter.
func (e *Engine) part(gr *group, u *ggml.Tensor, i int) *ggml.Tensor {
	for j, k := range gr.adapted {
		if k == i {
			return e.columns(u, int64(j)*e.rank(), e.rank())
		}
	}
	return nil
}

// adapterIn puts U = A drop(x) behind x and keeps it in u.
func (e *Engine) adapterIn(g *ggml.Graph, gr *group, x span, u *ggml.Tensor, training bool) {
	tail := gr.fused.Tail()
	if tail == 0 {
		return
	}
	room, keep := e.behind(x, tail), e.columns(u, 0, ggml.KeptColumns(e.rank(), int64(len(gr.adapted))))
	if e.o.LoRA.Dropout == 0 || !training {
		g.GroupU(room, keep, gr.fused, x.all, e.acts.scratch)
		return
	}
	g.Zero(room)
	for _, i := range gr.adapted {
		l := &gr.parts[i]
		g.Linear(e.part(gr, room, i), l.a, e.dropped(g, l, x.all, true), ggml.Zero(), 1, e.acts.scratch)
	}
	g.Copy(keep, e.columns(room, 0, keep.Ne(0)))
}

// backward adds the nodes of the VJP: dx (unless nil) gets the gradient of the group's input, and the gradients of what is
// trained are accumulated. held says that a device's scratch still holds the weights from the forward product.
func (e *Engine) backward(g *ggml.Graph, gr *group, dx *ggml.Tensor, dy, x span, u *ggml.Tensor, held bool) {
	switch {
	case e.backend.OnHost():
		for i := range gr.parts {
			e.backwardLinear(g, &gr.parts[i], dx, dy.parts[i], x.all, e.part(gr, u, i), i > 0)
		}
	case e.o.Method == MethodFull:
		for i := range gr.parts {
			p := &gr.parts[i]
			e.weightGradients(g, p, dy.parts[i], x.all)
			if dx != nil {
				g.GroupBack(dx, ggml.Group{W: []*ggml.Tensor{p.w}}, dy.parts[i], i > 0, held, e.acts.scratch)
			}
		}
	default:
		e.backwardFused(g, gr, dx, dy, x, u, held)
	}
}

func (e *Engine) backwardFused(g *ggml.Graph, gr *group, dx *ggml.Tensor, dy, x span, u *ggml.Tensor, held bool) {
	scratch, tail, dropout := e.acts.scratch, gr.fused.Tail(), e.o.LoRA.Dropout > 0
	plain := gr.fused
	if dropout {
		plain = ggml.Group{W: gr.fused.W}
	}
	if tail == 0 {
		if dx != nil {
			g.GroupBack(dx, plain, dy.all, false, held, scratch)
		}
		return
	}
	v := e.behind(dy, tail)
	g.GroupV(v, gr.fused, dy.all, scratch)
	for _, i := range gr.adapted {
		g.Outer(gr.parts[i].gb, dy.parts[i], e.part(gr, u, i), gr.parts[i].scale, scratch)
	}
	if !dropout {
		g.Outer(gr.ga, e.columns(v, 0, gr.ga.Ne(1)), x.all, 1, scratch)
	}
	if dx != nil {
		g.GroupBack(dx, plain, dy.all, false, held && !dropout, scratch)
	}
	for _, i := range gr.adapted {
		if !dropout {
			return
		}
		l := &gr.parts[i]
		g.Outer(l.ga, e.part(gr, v, i), e.dropped(g, l, x.all, true), 1, scratch)
		if dx != nil {
			e.adapterBack(g, l, dx, e.part(gr, v, i))
		}
	}
}
