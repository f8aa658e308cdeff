package batch

import (
	"context"
	"errors"
	"sync"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/serve/engine"
)

// Group is several schedulers on one model, each with a context and threads of
// its own and a share of the slots. On processors, contexts of one thread each
// compute more small requests than one context of many threads, which wait for
// each other at every operation; and requests of different adapters do not wait
// for each other.
type Group struct {
	members []*Scheduler

	mu    sync.Mutex
	where map[uint64]int // member of each request under way
	load  []int          // requests of each member
}

// NewGroup makes n schedulers that share the slots of o. Events go to emit,
// from several goroutines.
func NewGroup(m *llama.Model, o Options, n int, emit func([]engine.Item)) (*Group, error) {
	n = max(1, min(n, o.Slots))
	g := &Group{where: map[uint64]int{}, load: make([]int, n)}
	share := (o.Slots + n - 1) / n
	for range n {
		one := o
		one.Slots = share
		s, err := New(m, one, func(items []engine.Item) {
			g.forget(items)
			emit(items)
		})
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.members = append(g.members, s)
	}
	return g, nil
}

// Info describes the model, with the slots of all members.
func (g *Group) Info() engine.Info {
	info := g.members[0].Info()
	info.Slots *= len(g.members)
	return info
}

// Do gives a request to the member with the fewest, and a cancellation to the
// one that has it.
func (g *Group) Do(c engine.Call) error {
	g.mu.Lock()
	to, known := g.where[c.ID]
	switch {
	case c.Request == nil && !known:
		g.mu.Unlock()
		return nil // it has ended
	case c.Request == nil:
		g.drop(c.ID)
	default:
		to = 0
		for i := range g.load {
			if g.load[i] < g.load[to] {
				to = i
			}
		}
		g.where[c.ID] = to
		g.load[to]++
	}
	g.mu.Unlock()
	return g.members[to].Do(c)
}

// drop forgets a request; the lock is held.
func (g *Group) drop(id uint64) {
	if to, ok := g.where[id]; ok {
		g.load[to]--
		delete(g.where, id)
	}
}

// forget drops the requests that ended.
func (g *Group) forget(items []engine.Item) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, item := range items {
		if item.Event.Last() {
			g.drop(item.ID)
		}
	}
}

// Run computes until ctx ends.
func (g *Group) Run(ctx context.Context) error {
	errs := make([]error, len(g.members))
	var all sync.WaitGroup
	for i, s := range g.members {
		all.Go(func() { errs[i] = s.Run(ctx) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// Close frees the contexts.
func (g *Group) Close() error {
	var errs []error
	for _, s := range g.members {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
