package batch_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/serve/batch"
	"github.com/qlora/qlora/internal/serve/engine"
)

// site is a scheduler at work, and the model that it runs.
type site struct {
	*engine.Router
	model    *llama.Model
	adapters []*llama.Adapter
	stop     func() (moves int)
}

var shape = llamatest.Options{Seed: 1, ChatTemplate: llamatest.ChatML}

func open(t *testing.T, slots int) *site {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "base.gguf")
	llamatest.Model(t, path, shape)
	m, err := llama.Load(path, llama.LoadOptions{MMap: true})
	if err != nil {
		t.Fatal(err)
	}
	at := &site{model: m}
	o := batch.Options{Name: "base", Ctx: 128, Slots: slots, Context: llama.ContextOptions{Threads: 1}}
	for i, name := range []string{"one", "two"} {
		file := filepath.Join(dir, name+".gguf")
		llamatest.Adapter(t, file, shape, llamatest.AdapterOptions{Seed: uint64(i) + 3})
		a, err := m.LoadAdapter(file)
		if err != nil {
			t.Fatal(err)
		}
		at.adapters = append(at.adapters, a)
		o.Adapters = append(o.Adapters, batch.Adapter{Name: name, Apply: []llama.AdapterScale{{Adapter: a, Scale: 1}}})
	}
	s, err := batch.New(m, o, func(items []engine.Item) { at.Deliver(items) })
	if err != nil {
		t.Fatal(err)
	}
	at.Router = engine.NewRouter(s.Info(), s.Do)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx)
		close(done)
	}()
	at.stop = func() int {
		cancel()
		<-done
		return s.Moves()
	}
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, s.Close(), at.adapters[0].Close(), at.adapters[1].Close(), m.Close()); err != nil {
			t.Error(err)
		}
	})
	return at
}

// text reads an answer to its end.
func text(t *testing.T, s *engine.Stream) (string, engine.Finish, error) {
	t.Helper()
	var b strings.Builder
	for {
		events, err := s.Next(t.Context())
		if err != nil {
			return "", engine.Finish{}, err
		}
		for _, e := range events {
			b.WriteString(e.Text)
			switch {
			case e.Err != nil:
				return b.String(), engine.Finish{}, e.Err
			case e.Finish != nil:
				return b.String(), *e.Finish, nil
			}
		}
	}
}

func ask(t *testing.T, at *site, r engine.Request) (string, engine.Finish, error) {
	t.Helper()
	r.Logprobs = -1
	s, err := at.Generate(t.Context(), r)
	if err != nil {
		return "", engine.Finish{}, err
	}
	return text(t, s)
}

func greedy(adapter, prompt string, limit int) engine.Request {
	return engine.Request{Adapter: adapter, Prompt: engine.Prompt{Text: prompt}, Limit: limit, Logprobs: -1, EndLess: true}
}

// alone is what a context of its own generates for a request.
func (at *site) alone(t *testing.T, r engine.Request) string {
	t.Helper()
	c, err := at.model.NewContext(llama.ContextOptions{Ctx: 256, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"one", "two"} {
		if r.Adapter == name {
			if err := c.SetAdapters([]llama.AdapterScale{{Adapter: at.adapters[i], Scale: 1}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	v := at.model.Vocab()
	prompt, err := v.EncodePrompt(r.Prompt.Text)
	if err != nil {
		t.Fatal(err)
	}
	last, err := c.Prefill(t.Context(), prompt)
	if err != nil {
		t.Fatal(err)
	}
	sampler, err := llama.NewSampler(llama.SamplerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stream := llama.NewTextStream(v)
	var b strings.Builder
	for n := range r.Limit {
		token, err := sampler.Sample(c, last)
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(stream.Add(token))
		var one llama.Batch
		one.Add(token, int32(len(prompt)+n), 0, true)
		if err := c.Decode(one); err != nil {
			t.Fatal(err)
		}
		last = 0
	}
	b.WriteString(stream.Flush())
	if err := errors.Join(sampler.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestTogetherAsAlone answers many requests of three models at once, each as
// if it had the model for itself: slots, positions and adapters do not mix.
func TestTogetherAsAlone(t *testing.T) {
	at := open(t, 5)
	var requests []engine.Request
	for i := range 24 {
		prompt := fmt.Sprintf("%d the function %s", i, strings.Repeat("in there ", i%7))
		requests = append(requests, greedy([]string{"", "one", "two"}[i%3], prompt, 6+i%5))
	}
	want := make([]string, len(requests))
	for i, r := range requests {
		want[i] = at.alone(t, r)
	}
	var all sync.WaitGroup
	for i, r := range requests {
		all.Go(func() {
			got, finish, err := ask(t, at, r)
			if err != nil || got != want[i] || finish.Reason != engine.ReasonLength || finish.Generated != r.Limit {
				t.Errorf("request %d of %q: %q (%+v, %v), alone %q", i, r.Adapter, got, finish, err, want[i])
			}
		})
	}
	all.Wait()
	if want[0] == want[1] {
		t.Error("the adapter changes nothing: the test shows nothing")
	}
}

// TestTheCacheIsReused answers a prompt that begins like an earlier one from the
// cache, with the same text, and another model's not.
func TestTheCacheIsReused(t *testing.T) {
	at := open(t, 2)
	prompt := strings.Repeat("in the function ", 5)
	first, f1, err := ask(t, at, greedy("one", prompt, 8))
	if err != nil {
		t.Fatal(err)
	}
	again, f2, err := ask(t, at, greedy("one", prompt, 8))
	if err != nil || again != first || f1.Cached != 0 || f2.Cached != f2.Prompt-1 {
		t.Errorf("%q (%+v), then %q (%+v, %v)", first, f1, again, f2, err)
	}
	longer := greedy("one", prompt+first+"and more", 8)
	got, f3, err := ask(t, at, longer)
	if want := at.alone(t, longer); err != nil || got != want || f3.Cached < f1.Prompt {
		t.Errorf("a longer conversation: %q (%+v, %v), alone %q", got, f3, err, want)
	}
	if _, f4, err := ask(t, at, greedy("two", prompt, 8)); err != nil || f4.Cached != 0 {
		t.Errorf("another model took %d tokens from the cache (%v)", f4.Cached, err)
	}
}

func TestLimitsOfTheContext(t *testing.T) {
	at := open(t, 1)
	_, f, err := ask(t, at, greedy("", "the", 0))
	if err != nil || f.Reason != engine.ReasonLength || f.Prompt+f.Generated != 128+1 {
		t.Errorf("without a limit: %+v, %v", f, err) // the last token needs no place in the cache
	}
	_, _, err = ask(t, at, greedy("", strings.Repeat("z", 128), 1))
	var e *engine.Error
	if !errors.As(err, &e) || e.Kind != engine.ContextFull {
		t.Errorf("a prompt as long as the context: %v", err)
	}
	if _, f, err := ask(t, at, greedy("", strings.Repeat("z", 127), 5)); err != nil || f.Generated != 2 {
		t.Errorf("a prompt one shorter: %+v, %v", f, err)
	}
}

// TestTheQueueMovesByItself has more requests than slots, and nothing that
// comes later to wake the scheduler.
func TestTheQueueMovesByItself(t *testing.T) {
	at := open(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var streams []*engine.Stream
	for i := range 6 {
		s, err := at.Generate(ctx, greedy("", fmt.Sprintf("%d the function", i), 0))
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for i, s := range streams {
		for last := false; !last; {
			events, err := s.Next(ctx)
			if err != nil {
				t.Fatalf("request %d waits for ever: %v", i, err)
			}
			last = events[len(events)-1].Last()
		}
	}
}

func TestCancelledRequestsLeave(t *testing.T) {
	at := open(t, 1)
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		var streams []*engine.Stream
		for range 3 { // one computes, two wait
			s, err := at.Generate(ctx, greedy("", "the", 0))
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		if i%2 == 0 {
			if _, err := streams[0].Next(ctx); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		for _, s := range streams {
			s.Close()
		}
	}
	if _, f, err := ask(t, at, greedy("", "the", 3)); err != nil || f.Generated != 3 {
		t.Errorf("afterwards: %+v, %v", f, err)
	}
	if n := at.Open(); n != 0 {
		t.Errorf("%d streams are open", n)
	}
}

func TestWhatCannotBeMet(t *testing.T) {
	at := open(t, 1)
	for _, c := range []struct {
		r    engine.Request
		kind engine.Kind
	}{
		{greedy("three", "x", 1), engine.UnknownModel},
		{greedy("", "", 1), engine.Invalid},
		{engine.Request{Prompt: engine.Prompt{Tokens: []int32{1 << 20}}}, engine.Invalid},
		{engine.Request{Prompt: engine.Prompt{Text: "x"}, Sampling: engine.Sampling{Grammar: "root ::= nothing"}}, engine.Invalid},
		{engine.Request{Prompt: engine.Prompt{Text: "x"}, Sampling: engine.Sampling{Bias: map[int32]float32{-1: 1}}}, engine.Invalid},
	} {
		_, _, err := ask(t, at, c.r)
		var e *engine.Error
		if !errors.As(err, &e) || e.Kind != c.kind {
			t.Errorf("%+v: %v", c.r, err)
		}
	}
}

// TestGraphsAreNotShared decodes batches of the same shape for one adapter after
// the other: libllama would compute the second with the graph of the first.
func TestGraphsAreNotShared(t *testing.T) {
	at := open(t, 1)
	for _, name := range []string{"", "one", "two", "one", ""} {
		r := greedy(name, "in the function", 1)
		want := at.alone(t, r)
		if got, _, err := ask(t, at, r); err != nil || got != want {
			t.Errorf("%q: %q (%v), alone %q", name, got, err, want)
		}
	}
}

// TestGroupsShare answers as one scheduler does.
func TestGroupsShare(t *testing.T) {
	at := open(t, 1)
	g, err := batch.NewGroup(at.model, batch.Options{Name: "base", Ctx: 128, Slots: 4, Context: llama.ContextOptions{Threads: 1},
		Adapters: []batch.Adapter{{Name: "one", Apply: []llama.AdapterScale{{Adapter: at.adapters[0], Scale: 1}}}}},
		2, func(items []engine.Item) { at.Router.Deliver(items) })
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Info().Slots; got != 4 {
		t.Errorf("%d slots", got)
	}
	single := at.Router
	at.Router = engine.NewRouter(g.Info(), g.Do)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, g.Close()); err != nil {
			t.Error(err)
		}
		at.Router = single
	})
	var all sync.WaitGroup
	for i := range 16 {
		r := greedy([]string{"", "one"}[i%2], fmt.Sprintf("%d the function", i), 5)
		want := at.alone(t, r)
		all.Go(func() {
			if got, _, err := ask(t, at, r); err != nil || got != want {
				t.Errorf("request %d: %q (%v), alone %q", i, got, err, want)
			}
		})
	}
	all.Wait()
	for range 10 { // cancelled in both members
		ctx, cancel := context.WithCancel(t.Context())
		s, err := at.Generate(ctx, greedy("one", "the", 0))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		s.Close()
	}
	if _, f, err := ask(t, at, greedy("one", "the", 3)); err != nil || f.Generated != 3 {
		t.Errorf("afterwards: %+v, %v", f, err)
	}
}

// TestMovedAnswersGoOn has adapters alternate over the slots, all of them in use, so that sequences move while they are
// computed.
func TestMovedAnswersGoOn(t *testing.T) {
	at := open(t, 8)
	var requests []engine.Request
	var streams []*engine.Stream
	var want []string
	for i := range 8 {
		requests = append(requests, greedy([]string{"one", "two"}[i%2], fmt.Sprintf("%d the function", i), 100))
		want = append(want, at.alone(t, requests[i]))
	}
	for _, r := range requests {
		s, err := at.Generate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	for i, s := range streams {
		if got, _, err := text(t, s); err != nil || got != want[i] {
			t.Errorf("request %d: %q (%v), alone %q", i, got, err, want[i])
		}
	}
	if n := at.stop(); n == 0 {
		t.Error("no sequence moved: the test shows nothing")
	}
}
