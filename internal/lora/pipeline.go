package lora

import (
	"context"
	"fmt"
	"sync"

	"github.com/qlora/qlora/internal/gguf"
)

// pipeline carries chunks of rows from a feeder through workers to the writer,
// which takes them in file order. The queues are short, which bounds memory.
type pipeline struct {
	plan    *Plan
	kernels Kernels
	work    chan *chunk // to the workers
	order   chan *chunk // to the writer
	spare   chan *buffers
	running sync.WaitGroup
}

// chunk is a run of rows of one tensor.
type chunk struct {
	step    *Step
	product *product
	first   int64 // value
	values  int64
	last    bool // of its tensor
	buf     *buffers
	out     []byte // for the writer, once done is closed
	tally   tally
	err     error
	done    chan struct{}
}

// buffers belong to a chunk while it is in the pipeline.
type buffers struct {
	exact, other []float32
	out          []byte
}

// product is the sum of all adapters of a tensor as one product: the A's on
// top of each other, the B's side by side with the scales in them.
type product struct {
	a, b []float32
	rank int
}

func newPipeline(p *Plan, k Kernels, workers int) *pipeline {
	depth := 2*workers + 2
	l := &pipeline{plan: p, kernels: k,
		work: make(chan *chunk, depth), order: make(chan *chunk, depth), spare: make(chan *buffers, depth)}
	for range depth {
		l.spare <- &buffers{}
	}
	for range workers {
		l.running.Go(func() {
			for c := range l.work {
				c.err = l.convert(c)
				close(c.done)
			}
		})
	}
	return l
}

// feed cuts the plan into chunks. It stops when ctx ends and always closes the
// queues.
func (l *pipeline) feed(ctx context.Context, fail context.CancelCauseFunc) {
	defer close(l.work)
	defer close(l.order)
	for i := range l.plan.Steps {
		step := &l.plan.Steps[i]
		pr, err := l.plan.product(step)
		if err != nil {
			fail(err)
			return
		}
		if !l.feedTensor(ctx, step, pr) {
			return
		}
	}
}

// feedTensor reports false when ctx has ended.
func (l *pipeline) feedTensor(ctx context.Context, step *Step, pr *product) bool {
	rowLen, total := step.Tensor.RowLen(), step.Tensor.Elements()
	size := max(1, chunkValues/rowLen) * rowLen
	for first := int64(0); first < total; first += size {
		c := &chunk{step: step, product: pr, first: first, values: min(size, total-first), done: make(chan struct{})}
		c.last = first+c.values == total
		if step.copied() {
			c.out = l.source(c)
			close(c.done)
		} else {
			select {
			case c.buf = <-l.spare:
			case <-ctx.Done():
				return false
			}
			l.work <- c
		}
		select {
		case l.order <- c:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// source is the chunk's bytes in the base.
func (l *pipeline) source(c *chunk) []byte {
	from, size := c.span()
	return l.plan.base.Data(c.step.Tensor)[from : from+size]
}

// span is the chunk's place in its base tensor, in bytes.
func (c *chunk) span() (from, size int64) {
	t := c.step.Tensor.Type
	return c.first / t.BlockSize() * t.TypeSize(), c.values / t.BlockSize() * t.TypeSize()
}

// convert does the arithmetic of a chunk.
func (l *pipeline) convert(c *chunk) error {
	s, rowLen := c.step, int(c.step.Tensor.RowLen())
	c.buf.grow(c.values, s.Type)
	exact, other, out := c.buf.exact[:c.values], c.buf.other[:c.values], c.buf.out
	if err := l.kernels.Dequantize(s.Tensor.Type, l.source(c), exact); err != nil {
		return fmt.Errorf("tensor %s: %w", s.Tensor.Name, err)
	}
	if pr := c.product; pr != nil {
		copy(other, exact)
		row := c.first / int64(rowLen)
		l.kernels.AddProduct(exact, pr.b[row*int64(pr.rank):(row+c.values/int64(rowLen))*int64(pr.rank)], pr.a, pr.rank, rowLen)
		c.tally.moved, c.tally.base = l.kernels.Compare(exact, other)
	}
	if err := l.kernels.Quantize(s.Type, exact, rowLen, out); err != nil {
		return fmt.Errorf("tensor %s: %w", s.Tensor.Name, err)
	}
	if err := l.kernels.Dequantize(s.Type, out, other); err != nil {
		return fmt.Errorf("tensor %s: %w", s.Tensor.Name, err)
	}
	c.tally.lost, c.tally.exact = l.kernels.Compare(other, exact)
	if notFinite(c.tally.exact) {
		return fmt.Errorf("tensor %s: the merged values are not finite", s.Tensor.Name)
	}
	if notFinite(c.tally.lost) {
		return fmt.Errorf("tensor %s: the merged values are too large for %s", s.Tensor.Name, s.Type)
	}
	c.out = out
	return nil
}

func notFinite(x float64) bool { return x-x != 0 }

// grow makes room for n values in F32 twice, and once in type t.
func (b *buffers) grow(n int64, t gguf.Type) {
	if int64(len(b.exact)) < n {
		b.exact, b.other = make([]float32, n), make([]float32, n)
	}
	size := n / t.BlockSize() * t.TypeSize()
	if int64(cap(b.out)) < size {
		b.out = make([]byte, size)
	}
	b.out = b.out[:size]
}

// write takes the chunks in order and hands their buffers back.
func (l *pipeline) write(ctx context.Context, w *gguf.Writer, o MergeOptions) error {
	var sum tally
	for c := range l.order {
		<-c.done
		if c.err != nil {
			return c.err
		}
		if err := l.writeChunk(w, c); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress(int64(len(c.out)))
		}
		sum.add(c.tally)
		if c.last {
			if err := w.NextTensor(); err != nil {
				return err
			}
			if o.Report != nil {
				o.Report(sum.report(*c.step, l.plan.out[c.step.Tensor.Name]))
			}
			sum = tally{}
		}
	}
	return context.Cause(ctx)
}

func (l *pipeline) writeChunk(w *gguf.Writer, c *chunk) error {
	if _, err := w.Write(c.out); err != nil {
		return err
	}
	if c.buf != nil {
		l.spare <- c.buf
	}
	from, size := c.span()
	return l.plan.base.ReleasePart(c.step.Tensor, from, size)
}

// product loads and joins what the adapters do to a step's tensor; nil when
// they do nothing.
func (p *Plan) product(s *Step) (*product, error) {
	if !s.Adapted {
		return nil, nil
	}
	var pairs []Pair
	pr := &product{}
	for _, a := range p.adapters {
		for _, pair := range a.Pairs {
			if pair.Base != s.Tensor.Name {
				continue
			}
			pair, err := a.Load(pair)
			if err != nil {
				return nil, err
			}
			scale := float32(a.Factor * a.Scale(pair))
			for i := range pair.B {
				pair.B[i] *= scale
			}
			pairs = append(pairs, pair)
			pr.a = append(pr.a, pair.A...)
			pr.rank += pair.Rank
		}
	}
	pr.b = sideBySide(pairs, pr.rank)
	return pr, nil
}

// sideBySide joins the rows of all B's.
func sideBySide(pairs []Pair, rank int) []float32 {
	if len(pairs) == 1 {
		return pairs[0].B
	}
	rows := int(pairs[0].NOut)
	b := make([]float32, 0, rows*rank)
	for i := range rows {
		for _, p := range pairs {
			b = append(b, p.B[i*p.Rank:(i+1)*p.Rank]...)
		}
	}
	return b
}
