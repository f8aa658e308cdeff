package monitor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Pace of the event stream: changes that come close together travel as one, and
// a line without meaning shows in time that a client has gone.
const (
	gather    = 100 * time.Millisecond
	heartbeat = 15 * time.Second
)

// update is the data of an event "runs".
type update struct {
	Runs []pageSummary `json:"runs"` // those that changed
	Gone []string      `json:"gone,omitempty"`
	// Problem says why the folder cannot be listed; empty: it can.
	Problem string `json:"problem,omitempty"`
}

// serveEvents streams server-sent events: first "all" with the whole listing,
// then "runs" for what changes.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	l := s.runs.hub.listen()
	if l == nil {
		refuse(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	defer s.runs.hub.leave(l)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := &eventStream{w: w, control: http.NewResponseController(w)}
	if stream.send("all", s.listing()) != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			err = stream.comment()
		case <-l.wake:
			err = stream.send("runs", s.runs.updates(l.take()))
			time.Sleep(gather)
		}
		if err != nil {
			return // the client has gone
		}
	}
}

// updates are the summaries of those named, and who of them is gone.
func (w *watcher) updates(names map[string]bool) update {
	w.mu.RLock()
	u := update{Runs: []pageSummary{}, Problem: w.failure}
	w.mu.RUnlock()
	for name := range names {
		if r := w.find(name); r != nil {
			u.Runs = append(u.Runs, r.pageSummary())
		} else {
			u.Gone = append(u.Gone, name)
		}
	}
	return u
}

// eventStream writes events, each within writeTime.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (e *eventStream) send(kind string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	return e.write(fmt.Sprintf("event: %s\ndata: %s\n\n", kind, data))
}

func (e *eventStream) comment() error { return e.write(":\n\n") }

func (e *eventStream) write(text string) error {
	// A recorder in a test has no deadline; a connection always has one.
	_ = e.control.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := e.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	return e.control.Flush()
}
