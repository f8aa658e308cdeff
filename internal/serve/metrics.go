package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/qlora/qlora/internal/serve/engine"
)

// metrics are what /metrics tells, in a registry of their own.
type metrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec // by path and code
	seconds  *prometheus.HistogramVec
	first    *prometheus.HistogramVec // time to the first token, by model
	tokens   *prometheus.CounterVec   // by model and kind
	answers  *prometheus.CounterVec   // by model and how they ended
}

// restarter is an engine that counts how often it was replaced.
type restarter interface{ Restarts() int }

func newMetrics(s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "qlora_http_requests_total", Help: "HTTP requests by path and status."}, []string{"path", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "qlora_http_request_seconds", Help: "Time until a request was answered in full.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 12)}, []string{"path"}),
		first: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "qlora_time_to_first_token_seconds", Help: "Time from the request to the first text of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 14)}, []string{"model"}),
		tokens:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "qlora_tokens_total", Help: "Tokens of prompts, those of them found in the cache, and tokens generated."}, []string{"model", "kind"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "qlora_answers_total", Help: "Answers by how they ended: stop, length, error, cancelled."}, []string{"model", "end"}),
	}
	r := prometheus.NewRegistry()
	gauge := func(name, help string, f func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, f)
	}
	slots := s.engine.Info().Slots
	r.MustRegister(m.requests, m.seconds, m.first, m.tokens, m.answers,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector(),
		gauge("qlora_slots", "Answers that can be computed at the same time.", func() float64 { return float64(slots) }),
		gauge("qlora_slots_busy", "Answers being computed.", func() float64 { return float64(min(slots, len(s.tickets))) }),
		gauge("qlora_queue_length", "Answers waiting for a slot.", func() float64 { return float64(max(0, len(s.tickets)-slots)) }),
		gauge("qlora_engine_up", "Whether the process that computes is there.", func() float64 {
			if s.ready() {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "qlora_engine_restarts_total", Help: "How often the process that computes had to be replaced."}, func() float64 {
			if e, ok := s.engine.(restarter); ok {
				return float64(e.Restarts())
			}
			return 0
		}))
	m.handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return m
}

// paths are those that requests are counted by; all others are "other", since
// clients make up as many as they like.
var paths = map[string]bool{"/": true, "/v1/chat/completions": true, "/v1/completions": true, "/v1/models": true, "/health": true, "/metrics": true}

// count counts requests; limit is what statusWriter says.
func (m *metrics) count(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK, limit: limit}
		path := "other"
		if paths[r.URL.Path] {
			path = r.URL.Path
		}
		defer func() {
			m.requests.WithLabelValues(path, strconv.Itoa(seen.status)).Inc()
			m.seconds.WithLabelValues(path).Observe(time.Since(began).Seconds())
		}()
		next.ServeHTTP(seen, r)
	})
}

// ended counts an answer.
func (m *metrics) ended(model string, f *engine.Finish, cancelled bool) {
	switch {
	case f != nil:
		m.answers.WithLabelValues(model, f.Reason).Inc()
		m.tokens.WithLabelValues(model, "prompt").Add(float64(f.Prompt))
		m.tokens.WithLabelValues(model, "cached").Add(float64(f.Cached))
		m.tokens.WithLabelValues(model, "generated").Add(float64(f.Generated))
	case cancelled:
		m.answers.WithLabelValues(model, "cancelled").Inc()
	default:
		m.answers.WithLabelValues(model, "error").Inc()
	}
}

// statusWriter remembers the status, and gives the client a time to take each
// piece that is written: one that never reads would keep its place in the queue.
type statusWriter struct {
	http.ResponseWriter
	status  int
	written bool
	limit   time.Duration
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.written && status >= 200 {
		w.status, w.written = status, true
	}
	if status == statusClientGone { // not one to send, and nobody is there
		return
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.written = true
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.limit)) // not supported by a test's recorder
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
