package batch

import (
	"context"
	"errors"
	"math"
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
	share   int // slots of each member

	mu    sync.Mutex
	where map[uint64]place // of each request under way
	load  []load           // of each member
}

// place is where a request is computed, and as what.
type place struct {
	member  int
	adapter string
}

// load counts the requests of a member by adapter.
type load map[string]int

func (l load) all() int {
	n := 0
	for _, k := range l {
		n += k
	}
	return n
}

// NewGroup makes n schedulers that share the slots of o. Events go to emit,
// from several goroutines.
func NewGroup(m *llama.Model, o Options, n int, emit func([]engine.Item)) (*Group, error) {
	n = max(1, min(n, o.Slots))
	g := &Group{where: map[uint64]place{}, share: (o.Slots + n - 1) / n}
	for range n {
		one := o
		one.Slots = g.share
		s, err := New(m, one, func(items []engine.Item) {
			g.forget(items)
			emit(items)
		})
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
		g.members, g.load = append(g.members, s), append(g.load, load{})
	}
	return g, nil
}

// Info describes the model, with the slots of all members.
func (g *Group) Info() engine.Info {
	info := g.members[0].Info()
	info.Slots *= len(g.members)
	return info
}

// Do gives a request to a member, and a cancellation to the one that has it.
func (g *Group) Do(c engine.Call) error {
	g.mu.Lock()
	at, known := g.where[c.ID]
	switch {
	case c.Request == nil && !known:
		g.mu.Unlock()
		return nil // it has ended
	case c.Request == nil:
		g.drop(c.ID)
	default:
		at = place{g.choose(c.Request.Adapter), c.Request.Adapter}
		g.where[c.ID] = at
		g.load[at.member][at.adapter]++
	}
	g.mu.Unlock()
	return g.members[at.member].Do(c)
}

// choose is the member with the fewest requests, those of other adapters counted twice, since they take turns; one with a
// free slot, if there is any. The lock is held.
func (g *Group) choose(adapter string) int {
	best, least := 0, math.MaxInt
	for i, l := range g.load {
		all := l.all()
		cost := 2*all - l[adapter]
		if all >= g.share {
			cost += len(g.load) * 2 * g.share
		}
		if cost < least {
			best, least = i, cost
		}
	}
	return best
}

// drop forgets a request; the lock is held.
func (g *Group) drop(id uint64) {
	if at, ok := g.where[id]; ok {
		g.load[at.member][at.adapter]--
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
