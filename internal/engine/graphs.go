package engine

import (
	"fmt"

	"github.com/qlora/qlora/internal/ggml"
)

// graphs are built once. forward and eval are the same unless dropout tells them apart.
type graphs struct {
	input, clear, embedBack *ggml.Graph
	forward, eval, backward []*ggml.Graph
	loss, evalLoss          []*ggml.Graph // by chunk of positions
	logits                  *ggml.Graph   // of the first chunk
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
		if !e.backend.OnHost() {
			g.ForDevice()
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
	if err := e.buildInput(); err != nil {
		return err
	}
	if err := e.buildHead(); err != nil {
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
	if len(e.acts.kept) == 1 {
		return e.acts.kept[0]
	}
	return e.acts.kept[i]
}

func (e *Engine) buildBlock(i int) error {
	b, k, x, y := &e.blocks[i], e.keptOf(i), e.acts.x[i], e.acts.x[i+1]
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
		recompute := e.plan.Recompute == RecomputeBlock
		if recompute {
			e.blockForward(g, b, nil, x, k, true)
		}
		e.blockBackward(g, b, x, k, i == 0 && e.o.Method != MethodFull, recompute)
	})
	e.g.forward, e.g.eval = append(e.g.forward, forward), append(e.g.eval, eval)
	e.g.backward = append(e.g.backward, backward)
	return err
}

// buildInput builds what comes before the first block.
func (e *Engine) buildInput() (err error) {
	embedding, in := e.w.Embedding.T, &e.acts.in
	if e.o.Method == MethodFull {
		embedding = e.t.values[e.w.Embedding.Name]
	}
	e.g.input, err = e.build("input", func(g *ggml.Graph) {
		g.RopeTable(in.table, in.positions, in.frequencies, e.p.Rope.Magnitude)
		g.Embed(e.acts.x[0], embedding, in.tokens, e.acts.scratch)
	})
	if err != nil {
		return err
	}
	if e.g.clear, err = e.build("clear", func(g *ggml.Graph) { g.Zero(e.acts.dx) }); err != nil || e.o.Method != MethodFull {
		return err
	}
	e.g.embedBack, err = e.build("embed back", func(g *ggml.Graph) {
		g.EmbedBack(e.t.grads[e.w.Embedding.Name], e.acts.dx, in.tokens)
	})
	return err
}

// chunk is the part of the trained positions that one pass through the head works on.
type chunk struct{ idx, labels, losses *ggml.Tensor }

func (e *Engine) chunk(i int64) chunk {
	s, in, c := e.acts.store, &e.acts.in, e.plan.chunk
	return chunk{s.View(in.idx, "idx", i*c, c, 1), s.View(in.labels, "labels", i*c, c, 1), s.View(in.losses, "losses", i*c, c, 1)}
}

// buildHead builds what comes after the last block, once for every chunk of positions.
func (e *Engine) buildHead() (err error) {
	for i := range (e.n + e.plan.chunk - 1) / e.plan.chunk {
		c := e.chunk(i)
		if i == 0 {
			if e.g.logits, err = e.build("logits", func(g *ggml.Graph) { e.headForward(g, c, false) }); err != nil {
				return err
			}
		}
		eval, err := e.build(fmt.Sprintf("eval loss %d", i), func(g *ggml.Graph) {
			e.headForward(g, c, false)
			g.Loss(e.acts.head.logits, c.labels, e.acts.in.scale, c.losses, false, e.act)
		})
		if err != nil {
			return err
		}
		loss, err := e.build(fmt.Sprintf("loss %d", i), func(g *ggml.Graph) { e.lossAndBackward(g, c) })
		if err != nil {
			return err
		}
		e.g.evalLoss, e.g.loss = append(e.g.evalLoss, eval), append(e.g.loss, loss)
	}
	return nil
}

// headForward adds the nodes from the last block's result to the logits of one chunk of positions.
func (e *Engine) headForward(g *ggml.Graph, c chunk, training bool) {
	h := &e.acts.head
	g.Gather(h.rows, e.acts.x[len(e.acts.x)-1], c.idx)
	g.Norm(h.hn.all, h.rows, h.norm.w, e.p.Eps)
	e.forward(g, &h.out, whole(h.logits), h.hn, nil, h.u, training)
}

func (e *Engine) lossAndBackward(g *ggml.Graph, c chunk) {
	h := &e.acts.head
	e.headForward(g, c, true)
	g.Loss(h.logits, c.labels, e.acts.in.scale, c.losses, true, e.act)
	e.backward(g, &h.out, h.dhn, h.dlogits, h.hn, h.u, true)
	e.normBack(g, h.norm, h.drow, h.dhn, h.rows, false)
	g.Scatter(e.acts.dx, h.drow, c.idx)
}
