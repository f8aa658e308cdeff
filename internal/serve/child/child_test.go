package child_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/embedded"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/serve/batch"
	"github.com/qlora/qlora/internal/serve/child"
	"github.com/qlora/qlora/internal/serve/engine"
	"github.com/qlora/qlora/internal/serve/wire"
)

// roleEnv makes this test binary play the process that computes: "engine" with
// the model in modelEnv, or "refuse".
const (
	roleEnv  = "QLORA_TEST_CHILD"
	modelEnv = "QLORA_TEST_CHILD_MODEL"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(role string) error {
	conn, err := child.Inherited()
	if err != nil {
		return err
	}
	if role == "refuse" {
		return wire.Refuse(conn, wire.LoadError{Message: "no such file", Code: 4, Hints: []string{"look"}})
	}
	m, err := llama.Load(os.Getenv(modelEnv), llama.LoadOptions{MMap: true})
	if err != nil {
		return err
	}
	var sink wire.Sink
	s, err := batch.New(m, batch.Options{Name: "base", Ctx: 512, Slots: 2, Context: llama.ContextOptions{Threads: 1}}, sink.Emit)
	if err != nil {
		return err
	}
	return errors.Join(wire.Serve(context.Background(), conn, &sink, s), s.Close(), m.Close())
}

// processes starts processes and remembers them.
type processes struct {
	mu  sync.Mutex
	all []*child.Process
}

func (p *processes) start() (*child.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	started, err := child.Spawn(self, nil)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, started)
	return started, nil
}

func (p *processes) last() *child.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[len(p.all)-1]
}

func extract(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "base.gguf")
	if err := embedded.Extract(path); err != nil {
		t.Fatal(err)
	}
	t.Setenv(modelEnv, path)
	t.Setenv(roleEnv, "engine")
}

var long = engine.Request{
	Prompt: engine.Prompt{Text: "package main"}, Logprobs: -1, EndLess: true,
	Sampling: engine.Sampling{Temp: 1, Seed: 1}, Stop: []string{"\x00never"},
}

// read returns the last event of a stream and how many came.
func read(t *testing.T, s *engine.Stream) (last engine.Event, n int) {
	t.Helper()
	for {
		events, err := s.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n += len(events)
		if last = events[len(events)-1]; last.Last() {
			return last, n
		}
	}
}

func TestACrashTakesOneProcessOnly(t *testing.T) {
	extract(t)
	var p processes
	var back atomic.Int32
	c, err := child.New(t.Context(), child.Options{Start: p.start, Log: t.Logf, Back: func() { back.Add(1) }, Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if info := c.Info(); info.Model != "base" || info.Slots != 2 || !c.Ready() {
		t.Errorf("info %+v, ready %t", info, c.Ready())
	}
	for round := range 3 {
		first, err := c.Generate(t.Context(), long)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := first.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.last().Kill()
		if last, _ := read(t, first); last.Err == nil || last.Err.Kind != engine.Unavailable {
			if last.Finish == nil { // unless it was complete before the process died
				t.Errorf("round %d: the answer under way ended with %+v", round, last)
			}
		}
		for c.Restarts() <= round {
			time.Sleep(time.Millisecond)
		}
		again, err := c.Generate(t.Context(), long)
		if err != nil {
			t.Fatal(err)
		}
		if last, _ := read(t, again); last.Finish == nil || last.Finish.Generated < 400 {
			t.Errorf("round %d: afterwards an answer ended with %+v", round, last)
		}
	}
	c.Close()
	if back.Load() != 3 {
		t.Errorf("told %d times that the engine is back, want 3", back.Load())
	}
	if err := p.last().Wait(); err != nil {
		t.Errorf("the last process did not end well: %v", err)
	}
	if _, err := c.Generate(t.Context(), long); err == nil {
		t.Error("a closed child answers")
	}
}

func TestWhatCannotBeLoadedIsTold(t *testing.T) {
	t.Setenv(roleEnv, "refuse")
	var p processes
	_, err := child.New(t.Context(), child.Options{Start: p.start, Log: t.Logf})
	var load *wire.LoadError
	if !errors.As(err, &load) || load.Code != 4 || load.Message != "no such file" || len(load.Hints) != 1 {
		t.Errorf("got %v", err)
	}
	t.Setenv(roleEnv, "engine")
	t.Setenv(modelEnv, "nowhere.gguf")
	if _, err := child.New(t.Context(), child.Options{Start: p.start, Log: t.Logf}); err == nil {
		t.Error("a process that died was taken for a good one")
	}
}

func TestCancelReachesTheProcess(t *testing.T) {
	extract(t)
	var p processes
	c, err := child.New(t.Context(), child.Options{Start: p.start, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// both slots are taken by answers that are cancelled; a third one is answered
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := c.Generate(ctx, long)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	short := long
	short.Limit = 2
	s, err := c.Generate(t.Context(), short)
	if err != nil {
		t.Fatal(err)
	}
	if last, _ := read(t, s); last.Finish == nil || last.Finish.Generated != 2 {
		t.Errorf("got %+v", last)
	}
}
