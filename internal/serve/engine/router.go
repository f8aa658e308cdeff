package engine

import (
	"context"
	"sync"
)

// Call starts a request or, without one, cancels it.
type Call struct {
	ID      uint64
	Request *Request
}

// Item is an event of the request with that number.
type Item struct {
	ID    uint64
	Event Event
}

// Router is an Engine in front of something that takes calls and gives items:
// a scheduler in this process, or a connection to another.
type Router struct {
	info Info
	send func(Call) error

	mu      sync.Mutex
	streams map[uint64]*Stream
	next    uint64
	failed  *Error
}

// NewRouter makes a router that hands calls to send, which may be called from
// several goroutines.
func NewRouter(info Info, send func(Call) error) *Router {
	return &Router{info: info, send: send, streams: map[uint64]*Stream{}}
}

// Info implements Engine.
func (r *Router) Info() Info { return r.info }

// Generate implements Engine.
func (r *Router) Generate(ctx context.Context, q Request) (*Stream, error) {
	id, s, err := r.open()
	if err != nil {
		return nil, err
	}
	if err := r.send(Call{ID: id, Request: &q}); err != nil {
		s.Close()
		return nil, Errorf(Unavailable, "the engine does not answer: %v", err)
	}
	context.AfterFunc(ctx, s.Close) // only now: a cancel must not overtake its request
	return s, nil
}

func (r *Router) open() (uint64, *Stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return 0, nil, r.failed
	}
	r.next++
	id := r.next
	s := newStream(func() { r.drop(id) })
	r.streams[id] = s
	return id, s, nil
}

// drop forgets a stream and, unless it has ended, cancels its request.
func (r *Router) drop(id uint64) {
	r.mu.Lock()
	_, running := r.streams[id]
	delete(r.streams, id)
	failed := r.failed != nil
	r.mu.Unlock()
	if running && !failed {
		_ = r.send(Call{ID: id}) // an engine that is gone has nothing to cancel
	}
}

// Deliver hands items to their streams.
func (r *Router) Deliver(items []Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range items {
		s, ok := r.streams[item.ID]
		if !ok {
			continue // cancelled while the item was on its way
		}
		if item.Event.Last() {
			delete(r.streams, item.ID)
		}
		s.push(item.Event)
	}
}

// Fail ends all streams with e, and every later Generate.
func (r *Router) Fail(e *Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return
	}
	r.failed = e
	for id, s := range r.streams {
		s.push(Event{Err: e})
		delete(r.streams, id)
	}
}

// Open is the number of answers under way.
func (r *Router) Open() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.streams)
}
