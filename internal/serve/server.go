// Package serve answers OpenAI's API over HTTP: chat, completions, models; with
// a page to chat on, and metrics. What computes is an engine.Engine.
package serve

import (
	"net/http"
	"time"

	"github.com/qlora/qlora/internal/serve/engine"
)

// Options says who may ask for how much.
type Options struct {
	Keys    []string // any of which a client has to know; none: no key is asked for
	Origins []string // that pages may call from, besides our own; "*" for any
	Hosts   []string // names that the Host header may have; nil: any
	// Template replaces the model's own chat template, when it is not empty.
	Template string

	Sampling engine.Sampling // where a request says nothing

	MaxBody int64         // bytes of a request
	Queue   int           // answers that wait while all slots are busy
	Body    time.Duration // for a body to arrive
	Request time.Duration // for an answer to be complete
	Write   time.Duration // for a client to take a piece of an answer
}

// Server is the HTTP side.
type Server struct {
	o         Options
	engine    engine.Engine
	tickets   tickets
	templates templates
	metrics   *metrics
	keys      keySet
	started   time.Time
}

// New makes a server in front of e.
func New(e engine.Engine, o Options) *Server {
	s := &Server{o: o, engine: e, keys: newKeySet(o.Keys), started: time.Now()}
	s.tickets = newTickets(e.Info().Slots + o.Queue)
	s.metrics = newMetrics(s)
	return s
}

// Handler is the whole site.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	api := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(path, s.withKey(onlyMethod(method, h)))
	}
	api(http.MethodPost, "/v1/chat/completions", s.limited(s.chat))
	api(http.MethodPost, "/v1/completions", s.limited(s.complete))
	api(http.MethodGet, "/v1/models", s.models)
	api(http.MethodGet, "/v1/models/{name...}", s.model)
	api(http.MethodGet, "/metrics", s.metrics.handler.ServeHTTP)
	mux.HandleFunc("/health", onlyMethod(http.MethodGet, s.health))
	s.addPage(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeError(w, newError(http.StatusNotFound, "", "unknown_url", "there is nothing at %s %.100q", r.Method, r.URL.Path))
	})
	return s.metrics.count(s.guard(mux), s.o.Write)
}

// onlyMethod refuses other methods; HEAD goes with GET.
func onlyMethod(method string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method || method == http.MethodGet && r.Method == http.MethodHead {
			h(w, r)
			return
		}
		e := newError(http.StatusMethodNotAllowed, "", "method_not_supported", "%s is asked for with %s", r.URL.Path, method)
		e.allow = method
		writeError(w, e)
	}
}

// answer handles a request and returns what went wrong before anything was
// written.
type answer func(w http.ResponseWriter, r *http.Request) *apiError

// limited runs h when there is room for it in the queue, with the time limits
// of the options.
func (s *Server) limited(h answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.tickets.take(1) {
			writeError(w, s.overloaded())
			return
		}
		defer s.tickets.give(1)
		if err := s.timed(w, r, h); err != nil {
			writeError(w, err)
		}
	}
}

// overloaded is the 429 of a full queue.
func (s *Server) overloaded() *apiError {
	e := newError(http.StatusTooManyRequests, "", "queue_full", "all slots are busy and the queue is full; try again in a moment")
	e.retry = time.Second
	return e
}
