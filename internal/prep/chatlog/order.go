package chatlog

import (
	"context"
	"sync"
)

// job is a piece of work for one of the workers, who have numbers from 0.
type job[T any] func(worker int) (T, error)

// promise is a job whose result is to come.
type promise[T any] struct {
	do     job[T]
	result T
	err    error
	done   chan struct{}
}

// inOrder does the jobs that feed emits on several workers and gives their
// results to collect in the order of emission, on the caller's goroutine. At
// most two jobs a worker are under way or waiting to be collected, so memory
// does not grow with their number. The first error ends everything; emit
// returns false from then on.
func inOrder[T any](ctx context.Context, workers int, feed func(ctx context.Context, emit func(job[T]) bool) error, collect func(T) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan *promise[T], workers)
	ordered := make(chan *promise[T], 2*workers)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel(nil)
	group.Go(func() {
		defer close(ordered)
		defer close(work)
		if err := feed(ctx, func(do job[T]) bool { return hand(ctx, do, work, ordered) }); err != nil {
			cancel(err)
		}
	})
	for w := range workers {
		group.Go(func() {
			for p := range work {
				p.result, p.err = p.do(w)
				close(p.done)
			}
		})
	}
	for p := range ordered {
		if err := await(ctx, p, collect); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// hand gives a job to the workers and to the one who collects.
func hand[T any](ctx context.Context, do job[T], work, ordered chan<- *promise[T]) bool {
	p := &promise[T]{do: do, done: make(chan struct{})}
	for _, to := range []chan<- *promise[T]{ordered, work} {
		select {
		case to <- p:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func await[T any](ctx context.Context, p *promise[T], collect func(T) error) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if p.err != nil {
		return p.err
	}
	return collect(p.result)
}
