package fim

import (
	"context"
	"sync"
)

// ahead is how many items each worker may be ahead of the one that is waited
// for.
const ahead = 8

// inOrder makes each item on one of the workers and hands the results on in
// the order of the items.
func inOrder[A, B any](ctx context.Context, workers int, items []A, work func(A) B, done func(B) error) error {
	var group sync.WaitGroup
	defer group.Wait() // nobody may be at work when the caller cleans up
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type slot struct {
		item   A
		result chan B
	}
	todo := make(chan slot)
	queue := make(chan slot, ahead*workers)
	go func() {
		defer close(queue)
		defer close(todo)
		for _, item := range items {
			s := slot{item, make(chan B, 1)}
			select {
			case queue <- s:
			case <-ctx.Done():
				return
			}
			select {
			case todo <- s:
			case <-ctx.Done():
				return
			}
		}
	}()
	for range workers {
		group.Go(func() {
			for s := range todo {
				s.result <- work(s.item)
			}
		})
	}
	for s := range queue {
		select {
		case result := <-s.result:
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := done(result); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}
