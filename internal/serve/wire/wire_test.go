package wire

import (
	"context"
	"encoding/gob"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/serve/engine"
)

// TestAnEngineThatHangs greets and reads nothing: requests must fail, and
// whoever waits for answers must hear of it.
func TestAnEngineThatHangs(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	greeted := make(chan error, 1)
	go func() { greeted <- gob.NewEncoder(theirs).Encode(Hello{Info: engine.Info{Model: "base"}}) }()
	c, err := dial(ours, 20*time.Millisecond)
	if err = errors.Join(err, <-greeted); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Receive() }()
	var e *engine.Error
	for range 2 {
		if _, err := c.Generate(t.Context(), engine.Request{}); !errors.As(err, &e) || e.Kind != engine.Unavailable {
			t.Errorf("got %v", err)
		}
	}
	if err := <-ended; err == nil {
		t.Error("Receive ended without an error")
	}
	if n := c.Open(); n != 0 {
		t.Errorf("%d answers are under way", n)
	}
}

// tornConn is a connection whose other side has ended: the greeting went out,
// and writing is what finds out first.
type tornConn struct {
	net.Conn
	writes int
}

func (c *tornConn) Write(b []byte) (int, error) {
	if c.writes++; c.writes > 8 {
		return 0, os.NewSyscallError("write", syscall.EPIPE)
	}
	return len(b), nil
}

// talker emits until it is told to end.
type talker struct{ sink *Sink }

func (talker) Info() engine.Info    { return engine.Info{} }
func (talker) Do(engine.Call) error { return nil }

func (w talker) Run(ctx context.Context) error {
	for id := uint64(1); ctx.Err() == nil; id++ {
		w.sink.Emit([]engine.Item{{ID: id}})
	}
	return nil
}

// TestTheEndOfTheServerIsNoError also while it is sent to.
func TestTheEndOfTheServerIsNoError(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	var sink Sink
	if err := Serve(t.Context(), &tornConn{Conn: ours}, &sink, talker{&sink}); err != nil {
		t.Error(err)
	}
}
