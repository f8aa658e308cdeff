package monitor

import "sync"

// hub tells those who listen which runs have changed. A listener that is slow
// gets the names of several changes at once, and none is lost.
type hub struct {
	mu        sync.Mutex
	listeners map[*listener]bool
}

// listener has names to fetch with take whenever wake gives something.
type listener struct {
	wake chan struct{}

	mu      sync.Mutex
	changed map[string]bool
}

func newHub() *hub { return &hub{listeners: map[*listener]bool{}} }

// maxListeners bounds the event streams that are open at a time.
const maxListeners = 64

// listen adds a listener, or returns nil when there are too many.
func (h *hub) listen() *listener {
	l := &listener{wake: make(chan struct{}, 1), changed: map[string]bool{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) >= maxListeners {
		return nil
	}
	h.listeners[l] = true
	return l
}

func (h *hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
}

func (h *hub) publish(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.note(name)
	}
}

// wakeAll makes every listener look, though no run has changed.
func (h *hub) wakeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for l := range h.listeners {
		l.rouse()
	}
}

func (l *listener) note(name string) {
	l.mu.Lock()
	l.changed[name] = true
	l.mu.Unlock()
	l.rouse()
}

func (l *listener) rouse() {
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already
	}
}

// take returns the names that have changed since the last call.
func (l *listener) take() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := l.changed
	l.changed = map[string]bool{}
	return names
}
