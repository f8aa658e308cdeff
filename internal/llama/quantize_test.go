package llama_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func TestQuantize(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.gguf")
	llamatest.Model(t, in, llamatest.Options{Embd: 256, Seed: 2, ChatTemplate: llamatest.ChatML})
	base := load(t, in)
	tokens := encode(t, base, "the function")
	want := allLogits(t, newContext(t, base, llama.ContextOptions{Threads: 1}), tokens)
	for name, c := range map[string]struct {
		bits  float64 // most bits a weight
		bound float64 // largest change of a logit
	}{"f16": {16.5, 0.02}, "Q8_0": {9, 0.3}, "q4_k_m": {6.7, 3}} {
		out := filepath.Join(dir, name+".gguf")
		if err := llama.Quantize(in, out, llama.QuantizeOptions{Type: name, Threads: 2}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m := load(t, out)
		if bits := 8 * float64(m.Size()) / float64(m.Params()); bits > c.bits {
			t.Errorf("%s: %.2f bits a weight, want at most %.2f", name, bits, c.bits)
		}
		d := distance(t, allLogits(t, newContext(t, m, llama.ContextOptions{Threads: 1}), tokens), want)
		if d == 0 || d > c.bound {
			t.Errorf("%s: logits changed by %g, want above 0 and at most %g", name, d, c.bound)
		}
		if m.ChatTemplate() != llamatest.ChatML {
			t.Errorf("%s: the chat template was lost", name)
		}
	}
	onlyModels(t, dir)
}

// onlyModels fails when a temporary file was left behind.
func onlyModels(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || !strings.HasSuffix(e.Name(), ".gguf") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestQuantizeRefusesBadInput(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.gguf"), filepath.Join(dir, "out.gguf")
	llamatest.Model(t, in, llamatest.Options{})
	data, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	small := filepath.Join(dir, "q8.gguf")
	if err := llama.Quantize(in, small, llama.QuantizeOptions{Type: "q8_0"}); err != nil {
		t.Fatal(err)
	}
	cut := write(t, dir, "cut", data[:len(data)-4096])
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ in, out, kind, want string }{
		"onto pipe":  {in, pipe, "q8_0", "not a regular file"},
		"type":       {in, out, "q4_k_xl", "unknown type"},
		"missing":    {filepath.Join(dir, "none.gguf"), out, "q8_0", "no such file"},
		"truncated":  {cut, out, "q8_0", "not within the file bounds"},
		"onto input": {in, in, "q8_0", "the output is the input"},
		"no folder":  {in, filepath.Join(dir, "no", "out.gguf"), "q8_0", "no such file"},
		"quantised":  {small, out, "q4_0", "requantizing"},
	} {
		err := llama.Quantize(c.in, c.out, llama.QuantizeOptions{Type: c.kind})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error saying %q", name, err, c.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: an output was left", name)
		}
	}
	if err := llama.Quantize(small, out, llama.QuantizeOptions{Type: "q4_0", Requantize: true}); err != nil {
		t.Errorf("requantising when asked: %v", err)
	}
	onlyModels(t, dir)
}
