//go:build cgo

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"go/build"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/embedded/recipe"
	"github.com/qlora/qlora/internal/evaluate"
	"github.com/qlora/qlora/internal/llama"
)

// These tests hold the model to what it was trained for, on files of the Go
// standard library that it has not seen. To measure another file than the
// embedded one, or all held-out files instead of a part:
//
//	go test ./internal/embedded -run Learned -v -args -model outputs/embedded-model/model.gguf -all
var (
	otherModel = flag.String("model", "", "GGUF `file` to measure instead of the embedded model")
	allHeldOut = flag.Bool("all", false, "measure bits per byte on all held-out files")
)

const (
	maxBitsPerByte = 1.6
	heldOutBytes   = 120_000 // enough for two digits, and quick

	completions    = 100
	minAccepted    = 90
	promptTokens   = 320
	completeTokens = 96
	sampleSeed     = 1
)

// corpus is the standard library of the Go installation that runs the test.
func corpus(t *testing.T) []recipe.File {
	t.Helper()
	if err := recipe.CheckVersion(build.Default.GOROOT); err != nil {
		t.Skip(err)
	}
	files, err := recipe.Files(build.Default.GOROOT)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func load(t *testing.T) *llama.Model {
	t.Helper()
	path := *otherModel
	if path == "" {
		path = model(t)
	}
	m, err := llama.Load(path, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(t, m) })
	return m
}

func newContext(t *testing.T, m *llama.Model, o llama.ContextOptions) *llama.Context {
	t.Helper()
	c, err := m.NewContext(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(t, c) })
	return c
}

func close(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestLearnedBitsPerByte cuts held-out files into windows of the model's context.
// Each window begins knowing nothing but its first token, which makes the figure
// higher than that of a sliding window.
func TestLearnedBitsPerByte(t *testing.T) {
	files := corpus(t)
	m := load(t)
	path := filepath.Join(t.TempDir(), "heldout.jsonl")
	writeHeldOut(t, path, files)
	set, _, err := dataset.Load(context.Background(), dataset.LoadOptions{
		Sources: []dataset.Source{{Path: path, Weight: 1}}, MaxLength: m.TrainedContext(), OverLength: dataset.OverSplit,
	}, m.Vocab())
	if err != nil {
		t.Fatal(err)
	}
	c := newContext(t, m, evaluate.ContextOptions(set.Samples, 0, llama.ContextOptions{Threads: 1}))
	loss, err := evaluate.MeasureLoss(context.Background(), c, set.Samples, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.3f bits per byte over %d bytes, perplexity %.2f over %d tokens", loss.BitsPerByte(), loss.Bytes, loss.Perplexity(), loss.Tokens)
	if loss.Bytes < heldOutBytes/2 {
		t.Errorf("only %d bytes were measured", loss.Bytes)
	}
	if !(loss.BitsPerByte() <= maxBitsPerByte) {
		t.Errorf("%.3f bits per byte on held-out files, at most %.1f was asked of the model", loss.BitsPerByte(), maxBitsPerByte)
	}
}

// writeHeldOut writes whole held-out files, in path order, until there is enough.
func writeHeldOut(t *testing.T, path string, files []recipe.File) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer close(t, f)
	enc := json.NewEncoder(f)
	size := 0
	for _, file := range files {
		if !file.HeldOut || size > heldOutBytes && !*allHeldOut {
			continue
		}
		size += len(file.Text)
		if err := enc.Encode(recipe.Text{Text: file.Text}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLearnedToScan continues held-out files and scans the result: at temperature
// 0.8 and min-p 0.05, with a fixed seed for each of the completions.
func TestLearnedToScan(t *testing.T) {
	prompts := recipe.Prompts(corpus(t), completions)
	if len(prompts) != completions {
		t.Fatalf("%d prompts", len(prompts))
	}
	texts := completeAll(t, load(t), prompts)
	accepted, written := 0, 0
	for i, p := range prompts {
		written += len(texts[i])
		if err := recipe.Accepts(p.Prefix, texts[i]); err != nil {
			t.Logf("%s, seed %d: %v", p.Path, sampleSeed+i, err)
			continue
		}
		accepted++
	}
	t.Logf("go/scanner accepts %d of %d completions, %d bytes in all", accepted, completions, written)
	if accepted < minAccepted {
		t.Errorf("go/scanner accepts %d of %d completions, at least %d were asked of the model", accepted, completions, minAccepted)
	}
	if written < 100*completions {
		t.Errorf("%d bytes in %d completions: the model stops before it has said anything", written, completions)
	}
}

// completeAll continues every prompt. The model is too small to share a token's
// work among threads: each thread has a context of its own.
func completeAll(t *testing.T, m *llama.Model, prompts []recipe.Prompt) []string {
	t.Helper()
	texts := make([]string, len(prompts))
	workers := runtime.NumCPU()
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		c := newContext(t, m, llama.ContextOptions{Ctx: promptTokens + completeTokens, Threads: 1})
		wg.Go(func() {
			for i := w; i < len(prompts) && errs[w] == nil; i += workers {
				texts[i], errs[w] = complete(c, prompts[i].Prefix, uint32(sampleSeed+i))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return texts
}

func complete(c *llama.Context, prefix string, seed uint32) (text string, err error) {
	vocab := c.Model().Vocab()
	tokens, err := vocab.Encode(prefix, false)
	if err != nil {
		return "", err
	}
	s, err := llama.NewSampler(llama.SamplerOptions{Seed: seed, Temp: 0.8, MinP: 0.05})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	g, err := c.Generate(context.Background(), tokens[max(0, len(tokens)-promptTokens):], s, completeTokens, nil)
	return vocab.Decode(g.Tokens), err
}
