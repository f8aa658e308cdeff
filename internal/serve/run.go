package serve

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/qlora/qlora/internal/serve/engine"
)

// head is what every object of an answer begins with.
type head struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
}

func newHead(prefix, model string) head {
	return head{ID: prefix + strings.ToLower(rand.Text()), Created: time.Now().Unix(), Model: model}
}

// usage counts tokens as OpenAI does.
type usage struct {
	Prompt     int          `json:"prompt_tokens"`
	Completion int          `json:"completion_tokens"`
	Total      int          `json:"total_tokens"`
	Details    usageDetails `json:"prompt_tokens_details"`
}

type usageDetails struct {
	Cached int `json:"cached_tokens"`
}

// add counts a choice; the prompt is the same for all choices of it.
func (u *usage) add(f *engine.Finish, newPrompt bool) {
	if newPrompt {
		u.Prompt += f.Prompt
		u.Details.Cached += f.Cached
	}
	u.Completion += f.Generated
	u.Total = u.Prompt + u.Completion
}

// output takes the events of an answer's choices, one at a time.
type output interface {
	event(choice int, e engine.Event) error
	// flush sends what events have written; it is called after a group of them.
	flush() error
	// done ends an answer that went well.
	done() error
	// broken tells of an error once something was written, and returns it
	// otherwise.
	broken(e *apiError) *apiError
}

// run asks the engine for all choices of a request and hands their events to
// out. Each choice beyond the first takes a ticket of its own.
func (s *Server) run(ctx context.Context, c common, request func(choice int) engine.Request, out output) *apiError {
	return s.runMany(ctx, c, c.n, request, out)
}

func (s *Server) runMany(ctx context.Context, c common, n int, request func(choice int) engine.Request, out output) *apiError {
	if n > cap(s.tickets) {
		return badParam("n", "n: %d answers are more than this server computes at a time (%d)", n, cap(s.tickets))
	}
	if !s.tickets.take(n - 1) {
		return s.overloaded()
	}
	defer s.tickets.give(n - 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	streams := make([]*engine.Stream, n)
	for i := range streams {
		stream, err := s.engine.Generate(ctx, request(i))
		if err != nil {
			return out.broken(fromEngine(err, c))
		}
		defer stream.Close()
		streams[i] = stream
	}
	m := &merge{s: s, out: out, c: c, began: time.Now()}
	if n == 1 {
		m.read(ctx, 0, streams[0])
	} else {
		var all sync.WaitGroup
		for i, stream := range streams {
			all.Go(func() {
				m.read(ctx, i, stream)
				if m.failed() {
					cancel()
				}
			})
		}
		all.Wait()
	}
	if m.err != nil {
		return out.broken(m.err)
	}
	if out.done() != nil {
		return newError(statusClientGone, "", "", "the client went away")
	}
	return nil
}

// merge brings the events of several choices into one output.
type merge struct {
	s     *Server
	c     common
	began time.Time

	mu    sync.Mutex
	out   output
	begun bool
	err   *apiError // the first
}

func (m *merge) failed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err != nil
}

func (m *merge) read(ctx context.Context, choice int, stream *engine.Stream) {
	for {
		events, err := stream.Next(ctx)
		if err != nil {
			m.fail(ended(ctx))
			m.s.metrics.ended(m.c.model, nil, true)
			return
		}
		if last := m.take(choice, events); last {
			return
		}
	}
}

// take hands events on and tells whether the choice is complete.
func (m *merge) take(choice int, events []engine.Event) (last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.begun {
		m.begun = true
		m.s.metrics.first.WithLabelValues(m.c.model).Observe(time.Since(m.began).Seconds())
	}
	for _, e := range events {
		if e.Err != nil {
			m.s.metrics.ended(m.c.model, nil, false)
			m.failLocked(fromEngine(e.Err, m.c))
			return true
		}
		if e.Finish != nil {
			m.s.metrics.ended(m.c.model, e.Finish, false)
			last = true
		}
		if m.out.event(choice, e) != nil {
			m.failLocked(newError(statusClientGone, "", "", "the client went away"))
			return true
		}
	}
	if m.out.flush() != nil {
		m.failLocked(newError(statusClientGone, "", "", "the client went away"))
		return true
	}
	return last
}

func (m *merge) fail(e *apiError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failLocked(e)
}

func (m *merge) failLocked(e *apiError) {
	if m.err == nil {
		m.err = e
	}
}

// sse writes server-sent events. Its header goes out with the first of them,
// so that errors before that have a status.
type sse struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
	buf     []byte
}

func newSSE(w http.ResponseWriter) *sse {
	return &sse{w: w, control: http.NewResponseController(w)}
}

// data adds an event; send sends all that were added.
func (s *sse) data(body []byte) {
	s.buf = append(append(append(s.buf, "data: "...), body...), "\n\n"...)
}

func (s *sse) send() error {
	if len(s.buf) == 0 {
		return nil
	}
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("X-Accel-Buffering", "no")
		s.w.WriteHeader(http.StatusOK)
	}
	_, err := s.w.Write(s.buf)
	s.buf = s.buf[:0]
	if err != nil {
		return err
	}
	return s.control.Flush()
}
