// Package wire carries engine calls and events between two processes of this
// binary over a stream of bytes, as gob: first a Hello from the side that
// computes, then calls one way and frames of items the other.
package wire

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/qlora/qlora/internal/serve/engine"
)

// Hello is the first message of the side that computes: what it loaded, or why
// it could not.
type Hello struct {
	Info  engine.Info
	Error string // "" when all is well
	Code  int    // exit code that the error deserves
	Hints []string
}

// LoadError is a Hello that tells of a failure.
type LoadError struct {
	Message string
	Code    int
	Hints   []string
}

func (e *LoadError) Error() string { return e.Message }

// frame is what one decode gave.
type frame struct{ Items []engine.Item }

// Refuse tells the other side that nothing was loaded.
func Refuse(conn io.Writer, e LoadError) error {
	return gob.NewEncoder(conn).Encode(Hello{Error: e.Message, Code: e.Code, Hints: e.Hints})
}

// Worker is what Serve runs: a batch.Scheduler.
type Worker interface {
	Info() engine.Info
	Do(engine.Call) error
	Run(ctx context.Context) error
}

// Sink hands the items of a worker to the connection of the Serve that is
// under way. It must exist before the worker does.
type Sink struct {
	mu   sync.Mutex
	enc  *gob.Encoder
	fail context.CancelCauseFunc
}

// Emit sends items; a worker calls it.
func (s *Sink) Emit(items []engine.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enc == nil {
		return
	}
	if err := s.enc.Encode(frame{items}); err != nil {
		s.fail(fmt.Errorf("send what was computed: %w", err))
		s.enc = nil
	}
}

// Serve greets the other side and works for it until it closes the connection
// or ctx ends.
func Serve(ctx context.Context, conn net.Conn, sink *Sink, w Worker) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	enc := gob.NewEncoder(conn)
	if err := enc.Encode(Hello{Info: w.Info()}); err != nil {
		return fmt.Errorf("greet the server: %w", err)
	}
	sink.mu.Lock()
	sink.enc, sink.fail = enc, cancel
	sink.mu.Unlock()
	received := make(chan struct{})
	go func() {
		defer close(received)
		cancel(receive(conn, w))
	}()
	err := w.Run(ctx)
	if cause := context.Cause(ctx); err == nil && !hungUp(cause) && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	err = errors.Join(err, conn.Close())
	<-received
	return err
}

// hungUp tells whether the other side closed the connection or has ended: at
// rest, in the middle of a call, or while it was sent to.
func hungUp(err error) bool {
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// receive hands calls to w until the connection ends.
func receive(conn net.Conn, w Worker) error {
	dec := gob.NewDecoder(conn)
	for {
		var c engine.Call
		if err := dec.Decode(&c); err != nil {
			return err
		}
		if err := w.Do(c); err != nil {
			return err
		}
	}
}

// Client is the side that asks.
type Client struct {
	*engine.Router
	conn net.Conn
	dec  *gob.Decoder
}

// sendTime is far more than the other side takes to read a call: it does so
// while it computes.
const sendTime = 30 * time.Second

// Dial waits for the Hello and returns a client; Receive then has to run. The
// error is a *LoadError when the other side said what is wrong. Where the other
// side does not take a call in time, Generate fails and Receive ends.
func Dial(conn net.Conn) (*Client, error) { return dial(conn, sendTime) }

func dial(conn net.Conn, limit time.Duration) (*Client, error) {
	c := &Client{conn: conn, dec: gob.NewDecoder(conn)}
	var hello Hello
	if err := c.dec.Decode(&hello); err != nil {
		return nil, fmt.Errorf("wait for the engine: %w", err)
	}
	if hello.Error != "" {
		return nil, &LoadError{Message: hello.Error, Code: hello.Code, Hints: hello.Hints}
	}
	var mu sync.Mutex
	enc := gob.NewEncoder(conn)
	c.Router = engine.NewRouter(hello.Info, func(call engine.Call) error {
		mu.Lock()
		defer mu.Unlock()
		err := conn.SetWriteDeadline(time.Now().Add(limit))
		if err == nil {
			err = enc.Encode(call)
		}
		if err != nil {
			return errors.Join(err, conn.Close()) // after part of a call, nothing can be said
		}
		return nil
	})
	return c, nil
}

// Receive delivers items until the connection ends, then fails every answer
// that is under way.
func (c *Client) Receive() error {
	for {
		var f frame
		if err := c.dec.Decode(&f); err != nil {
			c.Fail(engine.Errorf(engine.Unavailable, "the engine stopped; it is being started again"))
			return err
		}
		c.Deliver(f.Items)
	}
}
