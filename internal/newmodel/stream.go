package newmodel

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/qlora/qlora/internal/gguf"
)

// A tensor is made in chunks, each from random numbers of its own; a span of
// chunks is made by all workers at once while the span before it is written. Two
// spans are all the memory that a model of any size takes.
const (
	chunkBytes    = 256 << 10
	chunksPerSpan = 64
)

// span is a run of the bytes of one tensor.
type span struct {
	data []byte
	last bool // of its tensor
}

// stream makes the tensors of a model.
type stream struct {
	list     []weight
	seed     uint64
	workers  int
	progress func(done, total int64) // bytes; may be nil
}

// writeTo writes all tensors to w, in order.
func (s *stream) writeTo(ctx context.Context, w *gguf.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	spans, spare := make(chan span), make(chan []byte, 2)
	for range cap(spare) {
		spare <- make([]byte, chunksPerSpan*chunkBytes)
	}
	go func() {
		defer close(spans)
		for _, t := range s.list {
			if err := s.produce(ctx, t, spans, spare); err != nil {
				stop(err)
				return
			}
		}
	}()
	done, total := int64(0), totalBytes(w.Tensors())
	for sp := range spans {
		if _, err := w.Write(sp.data); err != nil {
			return err
		}
		if done += int64(len(sp.data)); s.progress != nil {
			s.progress(done, total)
		}
		if sp.last {
			if err := w.NextTensor(); err != nil {
				return err
			}
		}
		spare <- sp.data[:cap(sp.data)]
	}
	return context.Cause(ctx)
}

func totalBytes(tensors []gguf.TensorInfo) int64 {
	sum := int64(0)
	for _, t := range tensors {
		sum += t.Size
	}
	return sum
}

// produce makes the spans of one tensor.
func (s *stream) produce(ctx context.Context, t weight, spans chan<- span, spare <-chan []byte) error {
	f, err := newFiller(t)
	if err != nil {
		return err
	}
	total, err := t.info.Type.RowBytes(t.info.Elements())
	if err != nil {
		return err
	}
	block := t.info.Type.TypeSize()
	chunk := chunkBytes / block * block
	for from := int64(0); from < total; from += chunk * chunksPerSpan {
		var sp span
		select {
		case sp.data = <-spare:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		sp.data = sp.data[:min(chunk*chunksPerSpan, total-from)]
		sp.last = from+int64(len(sp.data)) == total
		s.fill(f, t.info.Name, sp.data, int(chunk), from/chunk)
		select {
		case spans <- sp:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// fill makes the chunks of a span, the first of which has the number first.
func (s *stream) fill(f filler, tensor string, data []byte, chunk int, first int64) {
	var next atomic.Int64
	work := func() {
		for {
			i := next.Add(1) - 1
			from := int(i) * chunk
			if from >= len(data) {
				return
			}
			f.fill(data[from:min(from+chunk, len(data))], newSource(s.seed, tensor, first+i))
		}
	}
	if len(data) <= chunk {
		work()
		return
	}
	var running sync.WaitGroup
	for range s.workers {
		running.Go(work)
	}
	running.Wait()
}
