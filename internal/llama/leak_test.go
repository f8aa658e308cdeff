package llama_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

// TestNothingLeaks repeats everything that allocates a thousand times. What
// one round keeps would show a thousandfold.
func TestNothingLeaks(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand loads take seconds; run without -short")
	}
	o := llamatest.Options{Layers: 1}
	dir := t.TempDir()
	base, lora, bad := filepath.Join(dir, "b.gguf"), filepath.Join(dir, "a.gguf"), filepath.Join(dir, "c.gguf")
	llamatest.Model(t, base, o)
	llamatest.Adapter(t, lora, o, llamatest.AdapterOptions{Rank: 32})
	llamatest.Adapter(t, bad, o, llamatest.AdapterOptions{Arch: "qwen2"})
	for range 100 {
		round(t, base, lora, bad)
	}
	before := residentBytes(t)
	for range 1000 {
		round(t, base, lora, bad)
	}
	// libllama itself loses a hundred bytes a tensor and the allocator some
	// pages; a lost model, adapter or context is at least 50 KB a round.
	const most = 24 << 20
	if grown := residentBytes(t) - before; grown > most {
		t.Errorf("a thousand rounds grew the process by %d KB, want at most %d", grown>>10, most>>10)
	}
}

func round(t *testing.T, base, lora, bad string) {
	m, err := llama.Load(base, llama.LoadOptions{MMap: true})
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.LoadAdapter(lora)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.LoadAdapter(bad); err == nil {
		t.Fatal("a bad adapter was loaded")
	}
	c, err := m.NewContext(llama.ContextOptions{Ctx: 64, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := llama.NewSampler(llama.SamplerOptions{Temp: 1, RepeatPenalty: 1.1})
	if err != nil {
		t.Fatal(err)
	}
	for _, scale := range []float32{1, 0.5} {
		apply(t, c, a, scale)
		var b llama.Batch
		tokens, err := m.Vocab().Encode("the function", true)
		if err != nil {
			t.Fatal(err)
		}
		b.AddPrompt(tokens, 0, 0)
		if err := c.Decode(b); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sample(c, b.Len()-1); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []interface{ Close() error }{s, c, a, m} {
		closed(t, h)
	}
}

// residentBytes reads the resident set of this process.
func residentBytes(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("no /proc/self/statm on this system: ", err)
	}
	pages, err := strconv.ParseInt(string(bytes.Fields(data)[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
