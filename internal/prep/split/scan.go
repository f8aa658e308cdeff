package split

import (
	"context"
	"fmt"
	"sync"
)

// scanner describes the blocks of the inputs with several goroutines and hands
// them on in order.
type scanner struct {
	o      Options
	inputs []*Input
	avoid  *avoided
	owns   func(*block) bool
	close  func() // the inputs
}

// total announces the bytes to come: those of the shard, or all of them twice.
func (s *scanner) total() {
	if s.o.Total == nil {
		return
	}
	var total int64
	for b := range blocksOf(s.inputs, s.o.blockSize()) {
		if !s.o.Shard.Part() {
			total += 2 * (b.end - b.start)
		} else if owns(s.o.Shard)(b) {
			total += b.end - b.start
		}
	}
	s.o.Total(total)
}

// promise is a block that is being described.
type promise struct {
	block *block
	done  chan error
}

// scan calls take with every block that is owned, in the order of the inputs.
func (s *scanner) scan(ctx context.Context, take func(*block) error) error {
	ctx, cancel := context.WithCancel(ctx)
	jobs, queue := make(chan *promise), make(chan *promise, s.o.Workers)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	for range s.o.Workers {
		workers.Go(func() {
			a := newAnalyst(s.o, s.avoid)
			for p := range jobs {
				p.done <- a.readBlock(s.inputs[p.block.input].file, p.block)
			}
		})
	}
	workers.Go(func() { s.deal(ctx, jobs, queue) })
	for p := range queue {
		if err := wait(ctx, p); err != nil {
			return fmt.Errorf("data file %s: %w", s.inputs[p.block.input].Path, err)
		}
		if err := take(p.block); err != nil {
			return err
		}
		s.o.progress(p.block.end - p.block.start)
	}
	return ctx.Err()
}

func wait(ctx context.Context, p *promise) error {
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deal cuts the inputs into blocks, for a worker and for the one who collects.
func (s *scanner) deal(ctx context.Context, jobs, queue chan<- *promise) {
	defer close(jobs)
	defer close(queue)
	for b := range blocksOf(s.inputs, s.o.blockSize()) {
		if !s.owns(b) {
			continue
		}
		p := &promise{block: b, done: make(chan error, 1)}
		select {
		case queue <- p:
		case <-ctx.Done():
			return
		}
		select {
		case jobs <- p:
		case <-ctx.Done():
			return
		}
	}
}

// blocksOf yields the blocks of all inputs in order.
func blocksOf(inputs []*Input, size int64) func(yield func(*block) bool) {
	return func(yield func(*block) bool) {
		for i, in := range inputs {
			for start := int64(0); start < in.size; start += size {
				if !yield(&block{input: i, start: start, end: min(start+size, in.size)}) {
					return
				}
			}
		}
	}
}
