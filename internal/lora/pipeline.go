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
			from, n := c.span()
			c.out = l.plan.base.Data(step.Tensor)[from : from+n]
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

// span is the chunk's place in its base tensor, in bytes.
func (c *chunk) span() (from, size int64) {
	t := c.step.Tensor.Type
	return packed(t, c.first), packed(t, c.values)
}

// convert does the arithmetic of a chunk, a block of rows at a time so that
// the values stay in a core's cache from one loop to the next.
func (l *pipeline) convert(c *chunk) error {
	s, rowLen := c.step, c.step.Tensor.RowLen()
	size := max(1, blockValues/rowLen) * rowLen
	c.buf.grow(min(size, c.values), c.values, s.Type)
	c.out = c.buf.out
	for at := int64(0); at < c.values; at += size {
		if err := l.convertBlock(c, at, min(size, c.values-at)); err != nil {
			return fmt.Errorf("tensor %s: %w", s.Tensor.Name, err)
		}
	}
	if notFinite(c.tally.exact) {
		return fmt.Errorf("tensor %s: the merged values are not finite", s.Tensor.Name)
	}
	if notFinite(c.tally.lost) {
		return fmt.Errorf("tensor %s: the merged values are too large for %s", s.Tensor.Name, s.Type)
	}
	return nil
}

// convertBlock converts n values from value at of the chunk on.
func (l *pipeline) convertBlock(c *chunk, at, n int64) error {
	s, k, exact, other := c.step, l.kernels, c.buf.exact[:n], c.buf.other[:n]
	src := l.plan.base.Data(s.Tensor)[packed(s.Tensor.Type, c.first+at):packed(s.Tensor.Type, c.first+at+n)]
	if err := k.Dequantize(s.Tensor.Type, src, exact); err != nil {
		return err
	}
	var sums tally
	if c.product != nil {
		copy(other, exact)
		if err := l.addProduct(c, c.first+at, exact); err != nil {
			return err
		}
		sums.moved, sums.base = k.Compare(exact, other)
	}
	var err error
	dst := c.out[packed(s.Type, at):packed(s.Type, at+n)]
	sums.lost, sums.exact, err = k.Store(s.Type, exact, int(s.Tensor.RowLen()), dst, other)
	c.tally.add(sums)
	return err
}

// packed is the size of n values, a whole number of blocks, in bytes.
func packed(t gguf.Type, n int64) int64 { return n / t.BlockSize() * t.TypeSize() }

// addProduct adds the adapters to whole rows, of which the first begins at
// value first of the tensor.
func (l *pipeline) addProduct(c *chunk, first int64, w []float32) error {
	rank, rowLen := int64(c.product.rank), c.step.Tensor.RowLen()
	row := first / rowLen
	b := c.product.b[row*rank : (row+int64(len(w))/rowLen)*rank]
	return l.kernels.AddProduct(w, b, c.product.a, int(rank), int(rowLen))
}

func notFinite(x float64) bool { return x-x != 0 }

// grow makes room for a block of values in F32 twice, and for a whole chunk in
// type t.
func (b *buffers) grow(block, whole int64, t gguf.Type) {
	if int64(len(b.exact)) < block {
		b.exact, b.other = make([]float32, block), make([]float32, block)
	}
	size := packed(t, whole)
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
