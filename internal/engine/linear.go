package engine

import (
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/model"
)

// linear is one weight with what is trained of it: y = W x + bias + scale * B (A drop(x)). Of the trained parts any may be
// absent.
type linear struct {
	w, bias        *ggml.Tensor
	gw, gbias      *ggml.Tensor // gradients of method full
	a, b, ga, gb   *ggml.Tensor // adapter [in, r], [r, out] and gradients
	scale, dropout float32
	stream         int32 // which dropout mask
}

// linear assembles the trained parts of l. Under method full the trained copy takes the place of the file's weight.
func (e *Engine) linear(l model.Linear) linear {
	out := linear{w: l.T, scale: float32(e.o.LoRA.Scale()), dropout: float32(e.o.LoRA.Dropout)}
	if l.Bias != nil {
		out.bias = l.Bias.T
	}
	if e.o.Method == MethodFull {
		out.w, out.gw = e.t.values[l.Name], e.t.grads[l.Name]
		if l.Bias != nil {
			out.bias, out.gbias = e.t.values[l.Bias.Name], e.t.grads[l.Bias.Name]
		}
		return out
	}
	out.a, out.ga = e.t.values[l.Name+".lora_a"], e.t.grads[l.Name+".lora_a"]
	out.b, out.gb = e.t.values[l.Name+".lora_b"], e.t.grads[l.Name+".lora_b"]
	if out.a != nil {
		out.stream = int32(e.t.index[l.Name+".lora_a"])
	}
	return out
}

// forward adds the nodes of y = W x (+ residual) on the host. u [r, n] keeps A drop(x) for the backward pass.
func (e *Engine) forwardLinear(g *ggml.Graph, l *linear, y, x, residual, u *ggml.Tensor, training bool) {
	init := ggml.Zero()
	switch {
	case residual != nil && l.bias == nil:
		init = ggml.Residual(residual)
	case l.bias != nil:
		init = ggml.Bias(l.bias)
	}
	g.Linear(y, l.w, x, init, 1, e.acts.scratch)
	if residual != nil && l.bias != nil {
		g.Add(y, y, residual)
	}
	if l.a == nil {
		return
	}
	g.Linear(u, l.a, e.dropped(g, l, x, training), ggml.Zero(), 1, e.acts.scratch)
	g.Linear(y, l.b, u, ggml.Accumulate(), l.scale, e.acts.scratch)
}

// dropped is x as the adapter sees it.
func (e *Engine) dropped(g *ggml.Graph, l *linear, x *ggml.Tensor, training bool) *ggml.Tensor {
	if l.dropout == 0 || !training {
		return x
	}
	out := e.acts.tmp.drop[[2]int64{x.Ne(0), x.Ne(1)}]
	g.Dropout(out, x, e.acts.in.seed, l.stream, l.dropout, false)
	return out
}

// backwardLinear adds the nodes of the VJP on the host: dx (unless nil) gets W^T dy + scale * A^T B^T dy, and the gradients
// of what is trained are accumulated.
func (e *Engine) backwardLinear(g *ggml.Graph, l *linear, dx, dy, x, u *ggml.Tensor, accumulate bool) {
	e.weightGradients(g, l, dy, x)
	if dx != nil {
		g.LinearBack(dx, l.w, dy, accumulate, 1, e.acts.scratch)
	}
	if l.a == nil {
		return
	}
	v := e.acts.tmp.v[dy.Ne(1)] // [r, n], temporary
	g.LinearBack(v, l.b, dy, false, l.scale, e.acts.scratch)
	g.Outer(l.gb, dy, u, l.scale, e.acts.scratch)
	g.Outer(l.ga, v, e.dropped(g, l, x, true), 1, e.acts.scratch)
	if dx != nil {
		e.adapterBack(g, l, dx, v)
	}
}

// adapterBack adds A^T v to dx, through the dropout mask where there is one.
func (e *Engine) adapterBack(g *ggml.Graph, l *linear, dx, v *ggml.Tensor) {
	if l.dropout == 0 {
		g.LinearBack(dx, l.a, v, true, 1, e.acts.scratch)
		return
	}
	masked := e.acts.tmp.drop[[2]int64{dx.Ne(0), dx.Ne(1)}]
	g.LinearBack(masked, l.a, v, false, 1, e.acts.scratch)
	g.Dropout(dx, masked, e.acts.in.seed, l.stream, l.dropout, true)
}

// weightGradients accumulates what method full trains.
func (e *Engine) weightGradients(g *ggml.Graph, l *linear, dy, x *ggml.Tensor) {
	if l.gw != nil {
		g.Outer(l.gw, dy, x, 1, e.acts.scratch)
	}
	if l.gbias != nil {
		g.BiasBack(l.gbias, dy)
	}
}
