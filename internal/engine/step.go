package engine

import (
	"fmt"
	"math"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ggml"
)

func attentionScale(headDim int64) float32 { return float32(1 / math.Sqrt(float64(headDim))) }

// Accumulate runs one micro-batch forward and backward and adds scale * d(sum of token losses) to the gradient. It returns
// the sum of token losses in nats. The same seed gives the same dropout masks.
func (e *Engine) Accumulate(b *dataset.Batch, scale float32, seed uint64) (float64, error) {
	if err := e.load(b, seed); err != nil {
		return 0, err
	}
	if b.Trained == 0 {
		return 0, nil
	}
	if err := e.computeForward(e.g.forward); err != nil {
		return 0, err
	}
	if err := e.acts.in.scale.SetF32(0, []float32{scale * float32(e.scale.factor())}); err != nil {
		return 0, err
	}
	if err := e.compute(e.g.clear); err != nil {
		return 0, err
	}
	if err := e.computeHead(b, e.g.loss); err != nil {
		return 0, err
	}
	for i := len(e.g.backward) - 1; i >= 0; i-- {
		if err := e.w.Stream.Around(i, -1, func() error { return e.compute(e.g.backward[i]) }); err != nil {
			return 0, err
		}
	}
	if e.g.embedBack != nil {
		if err := e.compute(e.g.embedBack); err != nil {
			return 0, err
		}
	}
	return e.sumLosses(b)
}

// Eval returns the sum of token losses over the targets of b, without dropout and without a gradient.
func (e *Engine) Eval(b *dataset.Batch) (float64, error) {
	if err := e.load(b, 0); err != nil {
		return 0, err
	}
	if b.Trained == 0 {
		return 0, nil
	}
	if err := e.computeForward(e.g.eval); err != nil {
		return 0, err
	}
	if err := e.computeHead(b, e.g.evalLoss); err != nil {
		return 0, err
	}
	return e.sumLosses(b)
}

// Logits returns the logits of every position of b, [vocab, rows*length] with the vocabulary contiguous.
func (e *Engine) Logits(b *dataset.Batch) ([]float32, error) {
	if err := e.load(b, 0); err != nil {
		return nil, err
	}
	if err := e.computeForward(e.g.eval); err != nil {
		return nil, err
	}
	out := make([]float32, e.n*e.p.Vocab)
	idx := make([]int32, e.plan.chunk)
	for at := int64(0); at < e.n; at += e.plan.chunk {
		for i := range idx {
			if idx[i] = int32(at) + int32(i); int64(idx[i]) >= e.n {
				idx[i] = -1
			}
		}
		if err := e.acts.in.idx.SetI32(0, idx); err != nil {
			return nil, err
		}
		if err := e.compute(e.g.logits); err != nil {
			return nil, err
		}
		part := out[at*e.p.Vocab : min(at+e.plan.chunk, e.n)*e.p.Vocab]
		if err := e.readLogits(part); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readLogits copies the rows of the chunk's logits that out has room for, one by one: room for an adapter may lie between them.
func (e *Engine) readLogits(out []float32) error {
	vocab := int(e.p.Vocab)
	for i := 0; i < len(out); i += vocab {
		row := e.acts.store.View(e.acts.head.buffer, "row", int64(i/vocab)*e.acts.head.buffer.Ne(0), e.p.Vocab, 1)
		if err := row.GetF32(0, out[i:i+vocab]); err != nil {
			return err
		}
	}
	return nil
}

// computeHead runs one of graphs for every chunk of the trained positions of b.
func (e *Engine) computeHead(b *dataset.Batch, graphs []*ggml.Graph) error {
	var idx, labels []int32
	for i, target := range b.Targets {
		if target >= 0 {
			idx, labels = append(idx, int32(i)), append(labels, target)
		}
	}
	chunks := (len(idx) + int(e.plan.chunk) - 1) / int(e.plan.chunk)
	for len(idx) < chunks*int(e.plan.chunk) {
		idx, labels = append(idx, -1), append(labels, -1)
	}
	if err := e.acts.in.idx.SetI32(0, idx); err != nil {
		return err
	}
	if err := e.acts.in.labels.SetI32(0, labels); err != nil {
		return err
	}
	return e.compute(graphs[:chunks]...)
}

// sumLosses adds up the losses of the trained positions of b in their order.
func (e *Engine) sumLosses(b *dataset.Batch) (float64, error) {
	losses := make([]float32, b.Trained)
	if err := e.acts.in.losses.GetF32(0, losses); err != nil {
		return 0, err
	}
	total := 0.0
	for _, l := range losses {
		total += float64(l)
	}
	return total, nil
}

// load checks the micro-batch, copies it in and runs the input graph.
func (e *Engine) load(b *dataset.Batch, seed uint64) error {
	if err := e.check(b); err != nil {
		return fmt.Errorf("micro-batch: %w", err)
	}
	if err := e.acts.in.tokens.SetI32(0, b.Tokens); err != nil {
		return err
	}
	if err := e.acts.in.positions.SetI32(0, b.Positions); err != nil {
		return err
	}
	if err := e.acts.in.segments.SetI32(0, b.Segments); err != nil {
		return err
	}
	if err := e.acts.in.seed.SetI32(0, []int32{int32(uint32(seed)), int32(uint32(seed >> 32))}); err != nil {
		return err
	}
	return e.compute(e.g.input)
}

// check holds every index that C code will follow inside its array.
func (e *Engine) check(b *dataset.Batch) error {
	n := int(e.n)
	if b.Rows != e.o.Rows || b.Length != e.o.Length || len(b.Tokens) != n || len(b.Targets) != n || len(b.Positions) != n || len(b.Segments) != n {
		return fmt.Errorf("%d x %d tokens, the engine was built for %d x %d", b.Rows, b.Length, e.o.Rows, e.o.Length)
	}
	vocab := int32(e.p.Vocab)
	for i := range n {
		if t := b.Tokens[i]; t < 0 || t >= vocab {
			return fmt.Errorf("token %d at position %d is outside the vocabulary of %d", t, i, vocab)
		}
		if b.Targets[i] >= vocab || b.Positions[i] < 0 {
			return fmt.Errorf("target %d or rope position %d at position %d is out of range", b.Targets[i], b.Positions[i], i)
		}
		s := int(b.Segments[i])
		if s != i && (i == 0 || s != int(b.Segments[i-1])) || i-s >= e.o.Length {
			return fmt.Errorf("segment start %d at position %d: samples must be contiguous and no longer than %d", s, i, e.o.Length)
		}
	}
	return nil
}

// computeForward runs the graphs of all blocks in order.
func (e *Engine) computeForward(blocks []*ggml.Graph) error {
	for i, g := range blocks {
		if err := e.w.Stream.Around(i, 1, func() error { return e.compute(g) }); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engine) compute(graphs ...*ggml.Graph) error {
	for _, g := range graphs {
		if err := e.backend.Compute(g); err != nil {
			return err
		}
	}
	return nil
}
