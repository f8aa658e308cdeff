// Package perf measures how fast libllama runs a model and what memory it
// takes. Rates are tokens per second of wall time; a first, unmeasured round
// warms caches up.
package perf

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/qlora/qlora/internal/llama"
)

// LeastContext is the size of the cache where tests need less.
const LeastContext = 32

// Options say what is measured.
type Options struct {
	Prompt      int // tokens of the prompt test; 0: no such test
	Generate    int // tokens of the generation test; 0: no such test
	Repetitions int // measured rounds of each test, at least 1
	NoWarmup    bool
	Threads     int    // 0: all
	Device      string // GPU by its name in ggml's registry; empty: the CPU
	GPULayers   int    // layers on Device; -1: all
	FlashAttn   llama.FlashAttn
}

func (o Options) check() error {
	switch {
	case o.Prompt < 0 || o.Generate < 0 || o.Prompt+o.Generate == 0:
		return errors.New("nothing to measure: the prompt and the generation test have no tokens")
	case o.Repetitions < 1:
		return fmt.Errorf("%d repetitions: at least 1 is needed", o.Repetitions)
	}
	return nil
}

// Result is what was measured of one model.
type Result struct {
	Model       string  `json:"model"`       // path
	Description string  `json:"description"` // architecture, size and type in libllama's words
	SizeBytes   uint64  `json:"size_bytes"`  // of the tensors
	Params      uint64  `json:"params"`
	Threads     int     `json:"threads"`
	GPULayers   int     `json:"gpu_layers"`   // on the GPU, the output counted as one
	Layers      int     `json:"layers"`       // all, the output included
	LoadSeconds float64 `json:"load_seconds"` // until the file is mapped and checked
	Prompt      *Rate   `json:"prompt,omitempty"`
	Generate    *Rate   `json:"generate,omitempty"`
	// FirstToken is the seconds from a prompt to the token that follows it.
	FirstToken *Spread `json:"first_token_seconds,omitempty"`
	// PeakRSSBytes includes the pages of the mapped file that were touched.
	// Null where the system does not tell.
	PeakRSSBytes *uint64 `json:"peak_rss_bytes"`
	// PeakGPUBytes is what NVML counts for this process; null without a GPU.
	PeakGPUBytes *uint64 `json:"peak_vram_bytes"`
}

// Measure loads the model at path and runs the tests of o. progress, which may
// be nil, is called after each round.
func Measure(ctx context.Context, path string, o Options, progress func()) (r Result, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	memory := watchMemory()
	defer func() { err = errors.Join(err, memory.close()) }()
	start := time.Now()
	m, err := llama.Load(path, llama.LoadOptions{MMap: true, Device: o.Device, GPULayers: o.GPULayers})
	if err != nil {
		return r, err
	}
	loaded := time.Since(start)
	defer func() { err = errors.Join(err, m.Close()) }()
	c, err := m.NewContext(llama.ContextOptions{
		Ctx: max(o.Prompt, o.Generate, LeastContext), Threads: o.Threads, FlashAttn: o.FlashAttn,
		TypeK: llama.TypeF16, TypeV: llama.TypeF16,
	})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	r = describe(m, c)
	r.LoadSeconds = loaded.Seconds()
	r.Layers = m.Layers() + 1
	if r.GPULayers = o.GPULayers; o.Device == "" {
		r.GPULayers = 0
	} else if o.GPULayers < 0 || o.GPULayers > r.Layers {
		r.GPULayers = r.Layers
	}
	b := bench{c: c, o: o, progress: progress, memory: memory}
	if r.Prompt, err = b.repeat(ctx, o.Prompt, b.prompt); err != nil {
		return r, fmt.Errorf("prompt test of %s: %w", path, err)
	}
	if r.Generate, err = b.repeat(ctx, o.Generate, b.generate); err != nil {
		return r, fmt.Errorf("generation test of %s: %w", path, err)
	}
	if o.Prompt > 0 {
		first := newSpread(b.first[len(b.first)-o.Repetitions:]) // those after the warm-up
		r.FirstToken = &first
	}
	r.PeakRSSBytes, r.PeakGPUBytes = memory.peaks()
	return r, nil
}

func describe(m *llama.Model, c *llama.Context) Result {
	return Result{
		Model: m.Path(), Description: m.Describe(), SizeBytes: m.Size(), Params: m.Params(),
		Threads: c.Options().Threads,
	}
}

// bench runs the rounds of a test.
type bench struct {
	c        *llama.Context
	o        Options
	progress func()
	memory   *memoryWatch
	first    []float64 // seconds to the first token of each round of the prompt test
}

// repeat runs a test of n tokens and returns the rates of its measured rounds,
// or nil when n is 0.
func (b *bench) repeat(ctx context.Context, n int, round func(context.Context, []int32) error) (*Rate, error) {
	if n == 0 {
		return nil, nil
	}
	tokens := randomTokens(n, b.c.Model().Vocab().Size())
	if !b.o.NoWarmup {
		if err := round(ctx, tokens); err != nil {
			return nil, err
		}
	}
	rates := make([]float64, 0, b.o.Repetitions)
	for range b.o.Repetitions {
		start := time.Now()
		if err := round(ctx, tokens); err != nil {
			return nil, err
		}
		rates = append(rates, float64(n)/time.Since(start).Seconds())
		b.memory.sample()
		if b.progress != nil {
			b.progress()
		}
	}
	return newRate(n, rates), nil
}

// prompt runs tokens as one prompt and picks the likeliest token after it.
// Reading the logits waits for the device.
func (b *bench) prompt(ctx context.Context, tokens []int32) error {
	start := time.Now()
	last, err := b.c.Prefill(ctx, tokens)
	if err != nil {
		return err
	}
	logits := b.c.Logits(last)
	if logits == nil {
		return errors.New("the model gave no logits")
	}
	best := 0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	b.first = append(b.first, time.Since(start).Seconds())
	return nil
}

// generate runs tokens one by one, with logits for each, as generation does.
func (b *bench) generate(ctx context.Context, tokens []int32) error {
	b.c.ClearMemory()
	var batch llama.Batch
	for i, token := range tokens {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch.Reset()
		batch.Add(token, int32(i), 0, true)
		if err := b.c.Decode(batch); err != nil {
			return err
		}
		if b.c.Logits(0) == nil {
			return errors.New("the model gave no logits")
		}
	}
	return nil
}

// randomTokens are the same for every model of the same vocabulary; what they
// are does not change the work.
func randomTokens(n, vocab int) []int32 {
	rng := rand.New(rand.NewPCG(1, 2))
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32(rng.IntN(vocab))
	}
	return tokens
}
