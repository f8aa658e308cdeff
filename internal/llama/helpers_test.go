package llama_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

// tiny writes and loads a tiny model; it is closed with the test.
func tiny(t *testing.T, o llamatest.Options) *llama.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	llamatest.Model(t, path, o)
	return load(t, path)
}

func load(t *testing.T, path string) *llama.Model {
	t.Helper()
	m, err := llama.Load(path, llama.LoadOptions{MMap: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, m) })
	return m
}

func newContext(t *testing.T, m *llama.Model, o llama.ContextOptions) *llama.Context {
	t.Helper()
	c, err := m.NewContext(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, c) })
	return c
}

func loadAdapter(t *testing.T, m *llama.Model, path string) *llama.Adapter {
	t.Helper()
	a, err := m.LoadAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, a) })
	return a
}

func closed(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func encode(t *testing.T, m *llama.Model, text string) []int32 {
	t.Helper()
	tokens, err := m.Vocab().Encode(text, true)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// allLogits runs tokens as sequence 0 on an empty cache and returns a copy of
// the logits after each.
func allLogits(t *testing.T, c *llama.Context, tokens []int32) [][]float32 {
	t.Helper()
	c.ClearMemory()
	var b llama.Batch
	for i, token := range tokens {
		b.Add(token, int32(i), 0, true)
	}
	if err := c.Decode(b); err != nil {
		t.Fatal(err)
	}
	rows := make([][]float32, len(tokens))
	for i := range rows {
		rows[i] = append([]float32(nil), c.Logits(i)...)
	}
	return rows
}

// distance is the largest absolute difference of two sets of logits.
func distance(t *testing.T, a, b [][]float32) float64 {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d rows against %d", len(a), len(b))
	}
	var most float64
	for i := range a {
		if len(a[i]) != len(b[i]) || len(a[i]) == 0 {
			t.Fatalf("row %d: %d logits against %d", i, len(a[i]), len(b[i]))
		}
		for j := range a[i] {
			most = math.Max(most, math.Abs(float64(a[i][j]-b[i][j])))
		}
	}
	return most
}
