package llama_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func TestAdapterEqualsMergedWeights(t *testing.T) {
	o := llamatest.Options{Seed: 5}
	a := llamatest.AdapterOptions{Rank: 4, Alpha: 6, Seed: 9}
	dir := t.TempDir()
	base, lora, merged := filepath.Join(dir, "b.gguf"), filepath.Join(dir, "a.gguf"), filepath.Join(dir, "m.gguf")
	const scale = 0.75
	llamatest.Model(t, base, o)
	llamatest.Adapter(t, lora, o, a)
	llamatest.Merged(t, merged, o, a, scale)

	m := load(t, base)
	adapter := loadAdapter(t, m, lora)
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	tokens := encode(t, m, "the function in there")
	plain := allLogits(t, c, tokens)
	want := allLogits(t, newContext(t, load(t, merged), llama.ContextOptions{Threads: 1}), tokens)
	if d := distance(t, plain, want); d < 0.1 {
		t.Fatalf("the adapter changes logits by %g only; the test would prove nothing", d)
	}
	// The same context decodes the same shapes with and without: libllama may
	// not reuse the graph of the other case.
	for range 2 {
		apply(t, c, adapter, scale)
		if d := distance(t, allLogits(t, c, tokens), want); d > 1e-4 {
			t.Errorf("logits with the adapter are %g from those of merged weights", d)
		}
		apply(t, c, adapter, 0)
		if d := distance(t, allLogits(t, c, tokens), plain); d > 1e-5 {
			t.Errorf("logits with the adapter at scale 0 are %g from the base model's", d)
		}
		if err := c.SetAdapters(nil); err != nil {
			t.Fatal(err)
		}
		if d := distance(t, allLogits(t, c, tokens), plain); d > 1e-5 {
			t.Errorf("logits without the adapter are %g from the base model's", d)
		}
	}
	if alpha, ok := adapter.Meta("adapter.lora.alpha"); !ok || !strings.HasPrefix(alpha, "6") {
		t.Errorf("alpha %q, %t", alpha, ok)
	}
}

func apply(t *testing.T, c *llama.Context, a *llama.Adapter, scale float32) {
	t.Helper()
	if err := c.SetAdapters([]llama.AdapterScale{{Adapter: a, Scale: scale}}); err != nil {
		t.Fatal(err)
	}
}

func TestTwoAdaptersAddUp(t *testing.T) {
	o := llamatest.Options{Seed: 5}
	dir := t.TempDir()
	base, lora := filepath.Join(dir, "b.gguf"), filepath.Join(dir, "a.gguf")
	llamatest.Model(t, base, o)
	llamatest.Adapter(t, lora, o, llamatest.AdapterOptions{Seed: 9})
	m := load(t, base)
	one, two := loadAdapter(t, m, lora), loadAdapter(t, m, lora)
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	tokens := encode(t, m, "the end")
	apply(t, c, one, 1)
	want := allLogits(t, c, tokens)
	if err := c.SetAdapters([]llama.AdapterScale{{Adapter: one, Scale: 0.25}, {Adapter: two, Scale: 0.75}}); err != nil {
		t.Fatal(err)
	}
	if d := distance(t, allLogits(t, c, tokens), want); d > 1e-4 {
		t.Errorf("a quarter and three quarters are %g from the whole", d)
	}
}

func TestLoadAdapterRefusesWhatDoesNotFit(t *testing.T) {
	o := llamatest.Options{}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name+".gguf") }
	llamatest.Model(t, path("base"), o)
	llamatest.Adapter(t, path("good"), o, llamatest.AdapterOptions{})
	llamatest.Adapter(t, path("arch"), o, llamatest.AdapterOptions{Arch: "qwen2"})
	llamatest.Adapter(t, path("wide"), llamatest.Options{Embd: 64}, llamatest.AdapterOptions{})
	llamatest.Adapter(t, path("deep"), llamatest.Options{Layers: 3}, llamatest.AdapterOptions{})
	data, err := os.ReadFile(path("good"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "half", data[:len(data)/2])
	write(t, dir, "text", []byte("hello, I am not an adapter"))
	m := load(t, path("base"))
	for name, want := range map[string]string{
		"none": "no such file", "text": "not a GGUF file", "base": "general.type", "arch": "arch mismatch",
		"wide": "incorrect shape", "deep": "blk.2.", "half": "failed to apply",
	} {
		a, err := m.LoadAdapter(path(name))
		if err == nil {
			closed(t, a)
			t.Errorf("%s: loaded", name)
			continue
		}
		if !errors.Is(err, llama.ErrInvalidFile) || !strings.Contains(err.Error(), path(name)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %q, want one that names the file and says %q", name, err, want)
		}
	}
}

func TestSetAdaptersRefusesStrangers(t *testing.T) {
	o := llamatest.Options{}
	dir := t.TempDir()
	base, lora := filepath.Join(dir, "b.gguf"), filepath.Join(dir, "a.gguf")
	llamatest.Model(t, base, o)
	llamatest.Adapter(t, lora, o, llamatest.AdapterOptions{})
	m, other := load(t, base), load(t, base)
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	stranger := loadAdapter(t, other, lora)
	if err := c.SetAdapters([]llama.AdapterScale{{Adapter: stranger, Scale: 1}}); err == nil {
		t.Error("an adapter of another model was applied")
	}
	if err := c.SetAdapters([]llama.AdapterScale{{}}); !errors.Is(err, llama.ErrClosed) {
		t.Errorf("no adapter: %v", err)
	}
}
