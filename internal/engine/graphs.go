package engine

import (
	"fmt"

	"github.com/qlora/qlora/internal/ggml"
)

// graphs are built once. forward and eval are the same unless dropout tells them apart.
type graphs struct {
	input, embedBack        *ggml.Graph
	forward, eval, backward []*ggml.Graph
	loss, evalLoss, logits  *ggml.Graph
	squares, update         *ggml.Graph
	all                     []*ggml.Graph
}

// nodesPerGraph bounds the nodes of any one graph; a block's recomputation and backward pass take about a hundred.
const nodesPerGraph = 192

// graph starts a graph that Close will free.
func (e *Engine) graph(name string) (*ggml.Graph, error) {
	g, err := ggml.NewGraph(name, nodesPerGraph)
	if err == nil {
		e.g.all = append(e.g.all, g)
		if e.act != ggml.F32 {
			g.AllowHalf()
		}
	}
	return g, err
}

// build runs fill on a new graph and reports the first node that did not fit its tensors.
func (e *Engine) build(name string, fill func(*ggml.Graph)) (*ggml.Graph, error) {
	g, err := e.graph(name)
	if err != nil {
		return nil, err
	}
	fill(g)
	return g, g.Err()
}

func (e *Engine) buildGraphs() error {
	if err := e.buildEnds(); err != nil {
		return err
	}
	for i := range e.blocks {
		if err := e.buildBlock(i); err != nil {
			return err
		}
	}
	return e.buildOptimiser()
}

func (e *Engine) keptOf(i int) *kept {
	if len(e.kept) == 1 {
		return e.kept[0]
	}
	return e.kept[i]
}

func (e *Engine) buildBlock(i int) error {
	b, k, x, y := &e.blocks[i], e.keptOf(i), e.x[i], e.x[i+1]
	forward, err := e.build(fmt.Sprintf("forward %d", i), func(g *ggml.Graph) { e.blockForward(g, b, y, x, k, true) })
	if err != nil {
		return err
	}
	eval := forward
	if e.o.LoRA.Dropout > 0 {
		eval, err = e.build(fmt.Sprintf("eval %d", i), func(g *ggml.Graph) { e.blockForward(g, b, y, x, k, false) })
		if err != nil {
			return err
		}
	}
	backward, err := e.build(fmt.Sprintf("backward %d", i), func(g *ggml.Graph) {
		if e.plan.Recompute == RecomputeBlock {
			e.blockForward(g, b, nil, x, k, true)
		}
		e.blockBackward(g, b, e.dx, x, k, i == 0 && e.o.Method != MethodFull)
	})
	e.g.forward, e.g.eval = append(e.g.forward, forward), append(e.g.eval, eval)
	e.g.backward = append(e.g.backward, backward)
	return err
}

// buildEnds builds what comes before the first block and after the last.
func (e *Engine) buildEnds() (err error) {
	embedding := e.w.Embedding.T
	if e.o.Method == MethodFull {
		embedding = e.t.values[e.w.Embedding.Name]
	}
	e.g.input, err = e.build("input", func(g *ggml.Graph) {
		g.RopeTable(e.in.table, e.in.positions, e.in.frequencies, e.p.Rope.Magnitude)
		g.Embed(e.x[0], embedding, e.in.tokens, e.scratch)
	})
	if err != nil {
		return err
	}
	if e.o.Method == MethodFull {
		e.g.embedBack, err = e.build("embed back", func(g *ggml.Graph) {
			g.EmbedBack(e.t.grads[e.w.Embedding.Name], e.dx, e.in.tokens)
		})
		if err != nil {
			return err
		}
	}
	if e.g.logits, err = e.build("logits", func(g *ggml.Graph) { e.headForward(g, false) }); err != nil {
		return err
	}
	e.g.evalLoss, err = e.build("eval loss", func(g *ggml.Graph) {
		e.headForward(g, false)
		g.Loss(e.head.packed, e.head.logits, e.in.labels, e.in.scale, false, e.act)
	})
	if err != nil {
		return err
	}
	e.g.loss, err = e.build("loss", e.lossAndBackward)
	return err
}

// headForward adds the nodes from the last block's result to the logits of one chunk of positions.
func (e *Engine) headForward(g *ggml.Graph, training bool) {
	h := &e.head
	g.Gather(h.rows, e.x[len(e.x)-1], e.in.idx)
	g.Norm(h.hn, h.rows, h.norm.w, e.p.Eps)
	e.forward(g, &h.out, h.logits, h.hn, nil, h.u, training)
}

func (e *Engine) lossAndBackward(g *ggml.Graph) {
	h := &e.head
	e.headForward(g, true)
	g.Loss(h.packed, h.logits, e.in.labels, e.in.scale, true, e.act)
	e.backward(g, &h.out, h.dhn, h.dlogits, h.hn, h.u, false)
	e.normBack(g, h.norm, h.drow, h.dhn, h.rows, false)
	g.Scatter(e.dx, h.drow, e.in.idx)
}
