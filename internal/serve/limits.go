package serve

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// tickets bounds the answers that are computed or wait.
type tickets chan struct{}

func newTickets(n int) tickets { return make(tickets, max(1, n)) }

// take takes n tickets, or none and returns false.
func (t tickets) take(n int) bool {
	for i := range n {
		select {
		case t <- struct{}{}:
		default:
			t.give(i)
			return false
		}
	}
	return true
}

func (t tickets) give(n int) {
	for range n {
		<-t
	}
}

// Why an answer is given up that its client still waits for.
var (
	errTooSlow  = errors.New("the answer took too long")
	errStopping = errors.New("the server is ending")
)

// timed runs h with a context that ends after the longest time of an answer.
func (s *Server) timed(w http.ResponseWriter, r *http.Request, h answer) *apiError {
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.o.Request, errTooSlow)
	defer cancel()
	return h(w, r.WithContext(ctx))
}

// awaitBody gives the body of any request its time: net/http reads on behind
// answers that did not wait for it.
func (s *Server) awaitBody(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.o.Body)) // not supported by a test's recorder, which is never slow
}

// bodyRead lifts the deadline of the body: the connection is read on only to
// see the client go.
func bodyRead(w http.ResponseWriter) { _ = http.NewResponseController(w).SetReadDeadline(time.Time{}) }

// ended is the error of an answer whose context has ended.
func ended(ctx context.Context) *apiError {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errTooSlow):
		return newError(http.StatusGatewayTimeout, "", "timeout", "the answer was not complete within the time that this server allows (--timeout)")
	case errors.Is(cause, errStopping):
		return newError(http.StatusServiceUnavailable, "", "server_stopping", "the server was asked to end, and the answer was not complete within the time that it leaves (--drain)")
	}
	return newError(statusClientGone, "", "client_closed_request", "the client went away")
}

// statusClientGone is what a request is counted as that nobody waited for.
const statusClientGone = 499
