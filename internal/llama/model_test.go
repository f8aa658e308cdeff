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

func TestModelMetadata(t *testing.T) {
	m := tiny(t, llamatest.Options{ChatTemplate: llamatest.ChatML})
	if m.Arch() != "llama" || m.Embedding() != 32 || m.Layers() != 2 || m.TrainedContext() != 256 {
		t.Errorf("arch %q, embedding %d, layers %d, context %d", m.Arch(), m.Embedding(), m.Layers(), m.TrainedContext())
	}
	if m.ChatTemplate() != llamatest.ChatML {
		t.Errorf("chat template %q", m.ChatTemplate())
	}
	if name, ok := m.Meta("general.name"); !ok || name != "tiny test model" {
		t.Errorf("general.name %q, %t", name, ok)
	}
	if _, ok := m.Meta("no.such.key"); ok {
		t.Error("a missing key was found")
	}
	// Embedding and head of 272 rows, two blocks of seven linears, norms.
	want := uint64(2*272*32 + 2*(2*32*32+2*32*16+3*32*64) + 5*32)
	if m.Params() != want || m.Size() != 4*want {
		t.Errorf("%d weights in %d bytes, want %d in %d", m.Params(), m.Size(), want, 4*want)
	}
	if got := m.Describe(); got != "llama 36.0K all F32 (guessed)" {
		t.Errorf("described as %q", got)
	}
	if bare := tiny(t, llamatest.Options{}); bare.ChatTemplate() != "" {
		t.Errorf("template of a model without one: %q", bare.ChatTemplate())
	}
}

func TestMetaLongerThanTheFirstBuffer(t *testing.T) {
	long := "{{ '" + strings.Repeat("x", 5000) + "' }}"
	m := tiny(t, llamatest.Options{ChatTemplate: long})
	if got, ok := m.Meta("tokenizer.chat_template"); !ok || got != long {
		t.Errorf("read %d bytes of %d", len(got), len(long))
	}
}

func TestLoadRefusesBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.gguf")
	llamatest.Model(t, good, llamatest.Options{})
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	unknown := filepath.Join(dir, "unknown.gguf")
	llamatest.Model(t, unknown, llamatest.Options{Arch: "nosuch"})
	for name, c := range map[string]struct {
		path, want string
		vocabOnly  bool
	}{
		"missing":          {path: filepath.Join(dir, "none.gguf"), want: "no such file"},
		"folder":           {path: dir, want: "not a regular file"},
		"text":             {path: write(t, dir, "text", []byte("hello, I am not a model")), want: "not a GGUF file"},
		"empty":            {path: write(t, dir, "empty", nil), want: "truncated"},
		"header":           {path: write(t, dir, "header", data[:12]), want: "truncated"},
		"version":          {path: write(t, dir, "version", append([]byte("GGUF\x09\x00\x00\x00"), data[8:]...)), want: "version"},
		"half":             {path: write(t, dir, "half", data[:len(data)/2]), want: "not within the file bounds"},
		"half, vocabulary": {path: write(t, dir, "half2", data[:len(data)/2]), want: "not within the file bounds", vocabOnly: true},
		"metadata cut":     {path: write(t, dir, "meta", data[:600]), want: "failed to"},
		"absurd count":     {path: write(t, dir, "count", absurd(data)), want: "failed to"},
		"unknown":          {path: unknown, want: "unknown model architecture: 'nosuch'"},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := llama.Load(c.path, llama.LoadOptions{MMap: true, VocabOnly: c.vocabOnly})
			if err == nil {
				closed(t, m)
				t.Fatal("loaded")
			}
			var file *llama.FileError
			if !errors.Is(err, llama.ErrInvalidFile) || !errors.As(err, &file) || file.Path != c.path {
				t.Errorf("not a FileError about %s: %v", c.path, err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
		})
	}
}

// absurd claims 2^62 metadata entries.
func absurd(data []byte) []byte {
	bad := append([]byte(nil), data...)
	bad[23] = 0x40
	return bad
}

func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name+".gguf")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCloseIsOrderedAndIdempotent(t *testing.T) {
	o := llamatest.Options{}
	dir := t.TempDir()
	model, adapter := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "a.gguf")
	llamatest.Model(t, model, o)
	llamatest.Adapter(t, adapter, o, llamatest.AdapterOptions{})
	m, err := llama.Load(model, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.LoadAdapter(adapter)
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.NewContext(llama.ContextOptions{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetAdapters([]llama.AdapterScale{{Adapter: a, Scale: 1}}); err != nil {
		t.Fatal(err)
	}
	refuses(t, m, "2 contexts or adapters")
	refuses(t, a, "1 contexts still apply")
	for range 2 {
		closed(t, c)
	}
	refuses(t, m, "1 contexts or adapters")
	for range 2 {
		closed(t, a)
	}
	for range 2 {
		closed(t, m)
	}
	if _, err := m.NewContext(llama.ContextOptions{Threads: 1, Ctx: 8}); !errors.Is(err, llama.ErrClosed) {
		t.Errorf("context of a closed model: %v", err)
	}
	if _, err := m.Vocab().Encode("x", false); !errors.Is(err, llama.ErrClosed) {
		t.Errorf("encoding with a closed model: %v", err)
	}
	if err := c.Decode(llama.Batch{}); !errors.Is(err, llama.ErrClosed) {
		t.Errorf("decoding with a closed context: %v", err)
	}
}

func refuses(t *testing.T, c interface{ Close() error }, want string) {
	t.Helper()
	if err := c.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("close: %v, want a refusal saying %q", err, want)
	}
}

func TestVocabularyOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	llamatest.Model(t, path, llamatest.Options{ChatTemplate: llamatest.ChatML})
	m, err := llama.Load(path, llama.LoadOptions{VocabOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, m)
	if got := m.Vocab().Decode(encode(t, m, "the end")); got != "the end" {
		t.Errorf("decoded %q", got)
	}
	if m.ChatTemplate() != llamatest.ChatML || m.Arch() != "llama" {
		t.Errorf("metadata: template %q, architecture %q", m.ChatTemplate(), m.Arch())
	}
	if _, err := m.NewContext(llama.ContextOptions{Threads: 1, Ctx: 8}); err == nil || !strings.Contains(err.Error(), "vocabulary only") {
		t.Errorf("context: %v", err)
	}
	if _, err := m.LoadAdapter(path); err == nil || !strings.Contains(err.Error(), "vocabulary only") {
		t.Errorf("adapter: %v", err)
	}
}

// A device that no backend has is an error, not the CPU.
func TestLoadOnMissingDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	llamatest.Model(t, path, llamatest.Options{})
	m, err := llama.Load(path, llama.LoadOptions{Device: "CUDA99", GPULayers: -1})
	if m != nil || !errors.Is(err, llama.ErrNoDevice) || !strings.Contains(err.Error(), "CUDA99") {
		t.Errorf("%v", err)
	}
}
