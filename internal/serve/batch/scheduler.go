package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/serve/engine"
)

// Scheduler owns a libllama context. Do may be called from any goroutine; Run,
// in one, does all the computing.
type Scheduler struct {
	options Options
	ctx     *llama.Context
	fim     dataset.FIMTokens
	canFill bool
	emit    func([]engine.Item)
	info_   engine.Info

	mu      sync.Mutex
	calls   []call // that Run has not looked at
	wake    chan struct{}
	prepare sync.WaitGroup

	waiting []*sequence // admitted to no slot yet, oldest first
	slots   []slot
	turn    int // adapter whose turn it is
	items   []engine.Item
	batch   llama.Batch
	decodes int // so far
	moves   int // so far; see tidy
}

// call is a prepared request or a cancellation.
type call struct {
	id  uint64
	seq *sequence // nil: cancel
}

// base is the place of the base model among the adapters.
const base = -1

// New makes a scheduler for m; events go to emit in batches, from Run's
// goroutine. The caller closes it after Run has returned.
func New(m *llama.Model, o Options, emit func([]engine.Item)) (*Scheduler, error) {
	c, err := m.NewContext(o.contextOptions())
	if err != nil {
		return nil, err
	}
	s := &Scheduler{options: o, ctx: c, emit: emit, wake: make(chan struct{}, 1), slots: make([]slot, o.places())}
	for i := range s.slots {
		s.slots[i].adapter = base
	}
	if s.fim, err = dataset.FindFIM(m.Vocab()); err == nil {
		s.canFill = true
	}
	s.info_ = s.info()
	return s, nil
}

// Info describes the model.
func (s *Scheduler) Info() engine.Info { return s.info_ }

// Do takes a call. Requests are turned into tokens in a goroutine of their own,
// so that a long prompt holds up nobody else.
func (s *Scheduler) Do(c engine.Call) error {
	if c.Request == nil {
		s.put(call{id: c.ID})
		return nil
	}
	seq := &sequence{id: c.ID, request: *c.Request, slot: -1}
	s.put(call{id: c.ID, seq: seq})
	s.prepare.Add(1)
	go func() {
		defer s.prepare.Done()
		err := s.ready(seq)
		s.mu.Lock()
		seq.prepared, seq.failed = true, err
		ended := seq.ended
		s.mu.Unlock()
		if ended { // cancelled meanwhile: nobody else will look at it
			seq.close()
		}
		s.poke()
	}()
	return nil
}

func (s *Scheduler) put(c call) {
	s.mu.Lock()
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	s.poke()
}

func (s *Scheduler) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run computes until ctx ends, and then ends every answer with an error.
func (s *Scheduler) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		s.collect()
		s.tidy()
		s.admit()
		if s.busy() {
			s.step()
			s.flush()
			continue
		}
		s.flush()
		select { // all slots are free, so what waits is not prepared, and wakes us when it is
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	s.prepare.Wait()
	s.collect()
	s.failAll(engine.Errorf(engine.Unavailable, "the server is shutting down"))
	s.flush()
	return nil
}

// Close frees the context.
func (s *Scheduler) Close() error { return s.ctx.Close() }

// collect takes the calls that have come and drops what was cancelled.
func (s *Scheduler) collect() {
	s.mu.Lock()
	calls := s.calls
	s.calls = nil
	s.mu.Unlock()
	for _, c := range calls {
		if c.seq != nil {
			s.waiting = append(s.waiting, c.seq)
		} else {
			s.cancel(c.id)
		}
	}
}

func (s *Scheduler) cancel(id uint64) {
	for i, seq := range s.waiting {
		if seq.id == id {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			s.end(seq)
			return
		}
	}
	for i := range s.slots {
		if seq := s.slots[i].seq; seq != nil && seq.id == id {
			s.end(seq)
			return
		}
	}
}

// end frees what a sequence holds. Its tokens stay in the cache of the slot,
// for a request that begins like it.
func (s *Scheduler) end(seq *sequence) {
	if seq.slot >= 0 {
		s.slots[seq.slot].seq, s.slots[seq.slot].freed = nil, s.decodes
		seq.slot = -1
	}
	s.mu.Lock()
	seq.ended = true
	prepared := seq.prepared
	s.mu.Unlock()
	if prepared {
		seq.close()
	} // else its goroutine sees to it
}

// fail ends an answer with an error.
func (s *Scheduler) fail(seq *sequence, err error) {
	var e *engine.Error
	if !errors.As(err, &e) {
		e = engine.Errorf(engine.Internal, "%v", err)
	}
	s.items = append(s.items, engine.Item{ID: seq.id, Event: engine.Event{Err: e}})
	s.end(seq)
}

func (s *Scheduler) failAll(err error) {
	for _, seq := range s.waiting {
		s.fail(seq, err)
	}
	s.waiting = nil
	for i := range s.slots {
		if seq := s.slots[i].seq; seq != nil {
			s.fail(seq, err)
		}
	}
}

func (s *Scheduler) busy() bool { return s.seated() > 0 }

// seated counts the sequences that have a slot.
func (s *Scheduler) seated() int {
	n := 0
	for i := range s.slots {
		if s.slots[i].seq != nil {
			n++
		}
	}
	return n
}

func (s *Scheduler) flush() {
	if len(s.items) > 0 {
		s.emit(s.items)
		s.items = nil
	}
}

// adapterIndex finds an adapter by name.
func (s *Scheduler) adapterIndex(name string) (int, error) {
	if name == "" || name == s.options.Name {
		return base, nil
	}
	for i, a := range s.options.Adapters {
		if a.Name == name {
			return i, nil
		}
	}
	return 0, engine.Errorf(engine.UnknownModel, "there is no adapter %q", name)
}

// apply switches the context to an adapter.
func (s *Scheduler) apply(adapter int) error {
	if len(s.options.Adapters) == 0 {
		return nil
	}
	var list []llama.AdapterScale
	if adapter != base {
		list = s.options.Adapters[adapter].Apply
	}
	if err := s.ctx.Apply(list); err != nil {
		return fmt.Errorf("switch adapters: %w", err)
	}
	return nil
}
