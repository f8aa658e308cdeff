// Package monitor shows the runs of a folder in a browser: it reads what
// training appends to runs/NAME/metrics.jsonl, keeps it by column in memory,
// and serves a page with charts that follows the files.
//
// Everything that the page needs is in the binary. Requests name runs, never
// paths.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// Options are the settings of a server.
type Options struct {
	Root string // folder that holds the runs; it need not be there yet
	Key  string // what a client must show; empty: clients on this machine only
}

// Server is the dashboard of one folder.
type Server struct {
	o     Options
	runs  *watcher
	every time.Duration // between two looks at the folder
}

// New returns a server that has read nothing yet.
func New(o Options) *Server {
	return &Server{o: o, runs: newWatcher(o.Root), every: pollInterval}
}

// portsTried is how many ports Listen tries.
const portsTried = 100

// Listen takes port on host, or the next that is free. Port 0 is any.
func Listen(host string, port int) (net.Listener, error) {
	for p := port; ; p++ {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(p)))
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) || p >= min(port+portsTried-1, 65535) {
			return nil, fmt.Errorf("listen on %s, port %d: %w", host, p, err)
		}
	}
}

// Limits of a connection. No request has a body worth reading, and headers are
// small.
const (
	headerTime = 5 * time.Second
	idleTime   = 2 * time.Minute
	writeTime  = 30 * time.Second
	headerSize = 64 << 10
)

// Serve answers on l until ctx is done, which is no error.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: writeTime,
		IdleTimeout: idleTime, MaxHeaderBytes: headerSize,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	go s.runs.watch(ctx, s.every)
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done() // the streams of events end with it
		grace, end := context.WithTimeout(context.Background(), time.Second)
		defer end()
		stopped <- server.Shutdown(grace)
	}()
	err := server.Serve(l)
	cancel()
	if shut := <-stopped; errors.Is(shut, context.DeadlineExceeded) {
		server.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the dashboard: %w", err)
}

// Handler answers the page and its data.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", pageFiles())
	mux.HandleFunc("GET /api/runs", s.serveRuns)
	mux.HandleFunc("GET /api/series", s.serveSeries)
	mux.HandleFunc("GET /api/config", s.serveConfig)
	mux.HandleFunc("GET /api/samples", s.serveSamples)
	mux.HandleFunc("GET /api/events", s.serveEvents)
	return s.guard(mux)
}
