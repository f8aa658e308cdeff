package serve

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/rs/zerolog"
)

const (
	headerTime = 10 * time.Second
	idleTime   = 2 * time.Minute
	headerSize = 64 << 10
	lastWords  = time.Second // for the answers that are cut off to say so
)

// Listen answers on ln until ctx ends; then it takes no more requests and gives
// those under way the time of drain. It closes ln.
func (s *Server) Listen(ctx context.Context, ln net.Listener, drain time.Duration) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerSize,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          log.New(logWriter{zerolog.Ctx(ctx)}, "", 0),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	err := shutdown(srv, drain)
	if errors.Is(err, context.DeadlineExceeded) {
		cut(errStopping)
		err = shutdown(srv, lastWords)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if got := <-failed; !errors.Is(got, http.ErrServerClosed) {
		err = errors.Join(err, got)
	}
	return err
}

// shutdown waits for the requests under way, at most for limit.
func shutdown(srv *http.Server, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return srv.Shutdown(ctx)
}

// logWriter brings the lines of net/http, which tell of clients' faults, to
// our log.
type logWriter struct{ log *zerolog.Logger }

var _ io.Writer = logWriter{}

func (w logWriter) Write(line []byte) (int, error) {
	w.log.Debug().Str("from", "http").Msg(string(line))
	return len(line), nil
}
