package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/lora"
)

// Types by our choice against those of llama_model_quantize, tensor by tensor.
func TestMixturesMatchLlamaCpp(t *testing.T) {
	llama.SetLog(llama.LevelError, func(llama.Level, string) {})
	defer llama.SetLog(llama.LevelError, nil)
	for _, o := range []llamatest.Options{
		{Layers: 17, Heads: 4, KVHeads: 1}, {Layers: 33, Heads: 4, KVHeads: 2}, {Layers: 2, Heads: 4, KVHeads: 4},
	} {
		model, _, out := mergeFiles(t, o)
		for _, width := range []int64{256, 96} {
			for _, tied := range []bool{false, true} {
				thin := filepath.Join(t.TempDir(), "thin.gguf")
				writeThin(t, model, thin, width, tied)
				f := openGGUF(t, thin)
				for _, mixture := range lora.MixtureNames() {
					if err := llama.Quantize(thin, out, llama.QuantizeOptions{Type: mixture, Threads: 1}); err != nil {
						t.Fatal(err)
					}
					compareTypes(t, fmt.Sprintf("%d layers, %d groups, width %d, tied %v, %s", o.Layers, o.Heads/o.KVHeads, width, tied, mixture), f, out, mixture)
				}
			}
		}
	}
}

// writeThin copies the metadata of a model and the names of its tensors. Its
// matrices have two rows: no one can run it, but it quantises in no time.
// Every third down projection is 64 wider than the rest.
func writeThin(t *testing.T, from, to string, width int64, tied bool) {
	t.Helper()
	f := openGGUF(t, from)
	var thin []gguf.TensorInfo
	for i, ti := range f.Tensors() {
		if tied && ti.Name == "output.weight" {
			continue
		}
		if len(ti.Dims) == 2 {
			ti.Dims = []int64{width, 2}
			if i%3 == 0 && strings.Contains(ti.Name, "ffn_down") {
				ti.Dims[0] += 64
			}
		}
		thin = append(thin, ti)
	}
	w, err := gguf.Create(to, f.KVs(), thin)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, ti := range w.Tensors() {
		if err := w.WriteTensor(ti.Name, make([]byte, ti.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func compareTypes(t *testing.T, label string, f *gguf.File, quantized, mixture string) {
	t.Helper()
	m, err := lora.ParseMixture(mixture)
	if err != nil {
		t.Fatal(err)
	}
	choices, err := m.Choose(f)
	if err != nil {
		t.Fatalf("%s: %v", label, err)
	}
	theirs := openGGUF(t, quantized)
	if n, _ := theirs.Uint("general.file_type"); uint32(n) != m.FileType {
		t.Errorf("%s: file type %d, llama.cpp writes %d", label, m.FileType, n)
	}
	for _, ti := range theirs.Tensors() {
		if got := choices[ti.Name].Type; got != ti.Type {
			t.Errorf("%s: %s is %s, llama.cpp makes it %s", label, ti.Name, got, ti.Type)
		}
	}
}
