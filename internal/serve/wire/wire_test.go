package wire

import (
	"encoding/gob"
	"errors"
	"net"
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
