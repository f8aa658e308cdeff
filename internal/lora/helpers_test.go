package lora

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

// shape of the test models: embedding 8, feed-forward 12, vocabulary 20.
var linearDims = map[string][]int64{
	"attn_q": {8, 8}, "attn_k": {8, 4}, "attn_v": {8, 4}, "attn_output": {8, 8},
	"ffn_gate": {8, 12}, "ffn_up": {8, 12}, "ffn_down": {12, 8},
}

// writeFile writes F32 tensors with the given values, random ones for those
// without, and opens the file.
func writeFile(t *testing.T, path string, kvs []gguf.KV, tensors []gguf.TensorInfo, values map[string][]float32) *gguf.File {
	t.Helper()
	writeOnly(t, path, kvs, tensors, values)
	return openFile(t, path)
}

func writeOnly(t *testing.T, path string, kvs []gguf.KV, tensors []gguf.TensorInfo, values map[string][]float32) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	w, err := gguf.Create(path, kvs, tensors)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, ti := range tensors {
		v, ok := values[ti.Name]
		if !ok {
			v = randoms(rng, int(ti.Elements()))
		}
		if err := w.WriteTensor(ti.Name, encodeF32(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func openFile(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func randoms(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

// newBase writes a two-block llama in F32.
func newBase(t *testing.T, tied bool) *gguf.File {
	t.Helper()
	tensors := []gguf.TensorInfo{{Name: "token_embd.weight", Dims: []int64{8, 20}}, {Name: "output_norm.weight", Dims: []int64{8}}}
	if !tied {
		tensors = append(tensors, gguf.TensorInfo{Name: "output.weight", Dims: []int64{8, 20}})
	}
	for _, block := range []int{1, 0} { // files are not always in order
		for _, name := range []string{"ffn_down", "ffn_gate", "ffn_up", "attn_k", "attn_output", "attn_q", "attn_v"} {
			tensors = append(tensors, gguf.TensorInfo{Name: fmt.Sprintf("blk.%d.%s.weight", block, name), Dims: linearDims[name]})
		}
		tensors = append(tensors, gguf.TensorInfo{Name: fmt.Sprintf("blk.%d.attn_q.bias", block), Dims: []int64{8}})
	}
	kvs := []gguf.KV{{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: "tiny"}, {Key: "llama.block_count", Value: uint32(2)}}
	return writeFile(t, filepath.Join(t.TempDir(), "base.gguf"), kvs, tensors, nil)
}

// newAdapter has random A and B for what target chooses in base.
func newAdapter(t *testing.T, base *gguf.File, target string, rank int, seed uint64) *Adapter {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 3))
	infos, err := Targets(Config{Target: target}, base)
	if err != nil {
		t.Fatal(err)
	}
	a := &Adapter{Arch: "llama", Alpha: 12, Name: "test"}
	for _, ti := range infos {
		a.Pairs = append(a.Pairs, Pair{Base: ti.Name, Rank: rank, NIn: ti.Dims[0], NOut: ti.Dims[1],
			A: randoms(rng, rank*int(ti.Dims[0])), B: randoms(rng, rank*int(ti.Dims[1]))})
	}
	return a
}

func wantError(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one that says %q", want)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}
