package engine

import (
	"context"
	"sync"
)

// Stream is the answer to a request as it comes. One goroutine reads it; it
// never blocks the one that computes.
type Stream struct {
	mu     sync.Mutex
	events []Event
	wake   chan struct{} // holds one element while there is something to look at
	cancel func()
	once   sync.Once
}

// newStream makes a stream whose Close calls cancel, once.
func newStream(cancel func()) *Stream {
	return &Stream{wake: make(chan struct{}, 1), cancel: cancel}
}

func (s *Stream) push(e Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Next waits for events and returns all that have come. The last event of the
// stream is told by Event.Last; nothing comes after it. The error is that of
// ctx.
func (s *Stream) Next(ctx context.Context) ([]Event, error) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		s.mu.Lock()
		events := s.events
		s.events = nil
		s.mu.Unlock()
		if len(events) > 0 {
			return events, nil
		}
	}
}

// Close tells the engine that nobody reads any more. It may be called twice.
func (s *Stream) Close() { s.once.Do(s.cancel) }
