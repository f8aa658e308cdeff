package engine

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// allLinears is every linear an adapter can sit on, the head included.
const allLinears = "attn_q,attn_k,attn_v,attn_output,ffn_gate,ffn_up,ffn_down,output"

// golden is a file written by testdata/make_goldens.py.
type golden struct {
	t *testing.T
	f *gguf.File
}

func openGGUF(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func openGolden(t *testing.T, name string) golden {
	t.Helper()
	return golden{t, openGGUF(t, filepath.Join("testdata", name+".golden.gguf"))}
}

func openModel(t *testing.T, name string) *gguf.File {
	t.Helper()
	return openGGUF(t, filepath.Join("testdata", name+".gguf"))
}

func (g golden) tensor(name string) []float32 {
	g.t.Helper()
	info, ok := g.f.Tensor(name)
	if !ok {
		g.t.Fatalf("%s has no tensor %s", g.f.Paths()[0], name)
	}
	return decodeF32(g.f.Data(info))
}

func (g golden) has(name string) bool {
	_, ok := g.f.Tensor(name)
	return ok
}

func (g golden) float(key string) float64 {
	g.t.Helper()
	v, ok := g.f.Float("golden." + key)
	if !ok {
		g.t.Fatalf("%s has no golden.%s", g.f.Paths()[0], key)
	}
	return v
}

func (g golden) int(key string) int {
	g.t.Helper()
	v, ok := g.f.Uint("golden." + key)
	if !ok {
		g.t.Fatalf("%s has no golden.%s", g.f.Paths()[0], key)
	}
	return int(v)
}

func (g golden) floats(key string) []float32 {
	g.t.Helper()
	v, ok := g.f.Floats("golden." + key)
	if !ok {
		g.t.Fatalf("%s has no golden.%s", g.f.Paths()[0], key)
	}
	return v
}

// batch is micro-batch i of the file.
func (g golden) batch(i int) *dataset.Batch {
	g.t.Helper()
	b := &dataset.Batch{Rows: g.int("rows"), Length: g.int("length")}
	n := b.Rows * b.Length
	for key, to := range map[string]*[]int32{"tokens": &b.Tokens, "targets": &b.Targets, "positions": &b.Positions, "segments": &b.Segments} {
		all, ok := g.f.Ints("golden." + key)
		if !ok || len(all) < (i+1)*n {
			g.t.Fatalf("%s has no micro-batch %d in golden.%s", g.f.Paths()[0], i, key)
		}
		for _, v := range all[i*n : (i+1)*n] {
			*to = append(*to, int32(v))
		}
	}
	b.Trained = trained(b)
	return b
}

func trained(b *dataset.Batch) (n int) {
	for _, target := range b.Targets {
		if target >= 0 {
			n++
		}
	}
	return n
}

// options are those of the goldens: rank 4, alpha 8 on every linear.
func (g golden) options(o Options) Options {
	target := "all"
	if g.has("output.weight.lora_a") {
		target = allLinears
	}
	o.LoRA = lora.Config{Rank: g.int("rank"), Alpha: g.float("alpha"), Target: target}
	return o
}

func decodeF32(raw []byte) []float32 {
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

func encodeF32(v []float32) []byte {
	out := make([]byte, 0, 4*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

// newEngine fills in what o leaves open: one thread (ggml's threads spin at every node's barrier, so that several on busy
// processors take seconds where one takes milliseconds), nothing recomputed, torch's optimiser settings,
// every layer on the device.
func newEngine(t *testing.T, f *gguf.File, o Options) *Engine {
	t.Helper()
	o.Module = testModule(t)
	return startEngine(t, f, o)
}

// startEngine is newEngine on the module of o, or the CPU.
func startEngine(t *testing.T, f *gguf.File, o Options) *Engine {
	t.Helper()
	if o.Method == "" {
		o.Method = MethodQLoRA
	}
	if o.Recompute == "" {
		o.Recompute = RecomputeNone
	}
	if o.Threads == 0 {
		o.Threads = 1
	}
	if o.Beta1 == 0 {
		o.Beta1, o.Beta2, o.Eps = 0.9, 0.999, 1e-8
	}
	if o.Resident == 0 {
		o.Resident = -1
	}
	e, err := New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// loadModule opens the CUDA module that QLORA_CUDA_LIBRARY names; without one the tests run on the CPU.
var loadModule = sync.OnceValues(func() (*ggml.Module, error) {
	path := os.Getenv("QLORA_CUDA_LIBRARY")
	if path == "" {
		return nil, nil
	}
	return ggml.LoadModule(path)
})

func testModule(t *testing.T) *ggml.Module {
	t.Helper()
	m, err := loadModule()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// setWeights puts values(name) into every trained parameter and clears the moments.
func setWeights(t *testing.T, e *Engine, values func(name string) []float32) {
	t.Helper()
	s, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.Params {
		v := values(p.Name)
		if len(v) != p.Len {
			t.Fatalf("%s %v: %d values, the engine trains %d", p.Name, p.Dims, len(v), p.Len)
		}
		copy(s.Weights[p.Offset:p.Offset+p.Len], v)
	}
	clear(s.M)
	clear(s.V)
	if err := e.Restore(s); err != nil {
		t.Fatal(err)
	}
}

// gradients returns the accumulated gradient by parameter.
func gradients(t *testing.T, e *Engine) map[string][]float32 {
	t.Helper()
	flat, err := e.Gradients()
	if err != nil {
		t.Fatal(err)
	}
	return byName(t, e, flat)
}

func byName(t *testing.T, e *Engine, flat []float32) map[string][]float32 {
	t.Helper()
	s, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for _, p := range s.Params {
		out[p.Name] = flat[p.Offset : p.Offset+p.Len]
	}
	return out
}

func accumulate(t *testing.T, e *Engine, b *dataset.Batch, scale float32) float64 {
	t.Helper()
	loss, err := e.Accumulate(b, scale, 1)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// relative is the norm of got - want over that of want; a value that is not finite makes it infinite.
func relative(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var diff, norm float64
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		diff += d * d
		norm += float64(want[i]) * float64(want[i])
	}
	if r := math.Sqrt(diff / norm); !math.IsNaN(r) {
		return r
	}
	return math.Inf(1)
}

// wantClose fails when got differs from want by more than limit, relative.
func wantClose(t *testing.T, what string, got, want []float32, limit float64) float64 {
	t.Helper()
	r := relative(got, want)
	if r > limit {
		t.Errorf("%s: relative error %.2e, want at most %.0e (%d values, want %d)", what, r, limit, len(got), len(want))
	}
	return r
}

// wantNear is wantClose for a single number.
func wantNear(t *testing.T, what string, got, want, limit float64) {
	t.Helper()
	if r := math.Abs(got-want) / math.Abs(want); !(r <= limit) {
		t.Errorf("%s: %.9g, want %.9g: relative error %.2e, want at most %.0e", what, got, want, r, limit)
	}
}

// copyModel writes from to a new file with metadata and F32 tensors added and returns it opened.
func copyModel(t *testing.T, from *gguf.File, kvs []gguf.KV, extra map[string][]float32) *gguf.File {
	t.Helper()
	tensors := append([]gguf.TensorInfo(nil), from.Tensors()...)
	for name, v := range extra {
		tensors = append(tensors, gguf.TensorInfo{Name: name, Dims: []int64{int64(len(v))}, Type: gguf.F32})
	}
	path := filepath.Join(t.TempDir(), "model.gguf")
	w, err := gguf.Create(path, append(append([]gguf.KV(nil), from.KVs()...), kvs...), tensors)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, info := range tensors {
		data := encodeF32(extra[info.Name])
		if len(data) == 0 {
			data = from.Data(info)
		}
		if err := w.WriteTensor(info.Name, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return openGGUF(t, path)
}

// pack lays samples out as rows of length tokens; every token but the first of a sample is a target. Rows is a list of the
// samples in each row.
func pack(length int, rows ...[][]int32) *dataset.Batch {
	n := len(rows) * length
	b := &dataset.Batch{Rows: len(rows), Length: length, Tokens: make([]int32, n), Targets: make([]int32, n), Positions: make([]int32, n), Segments: make([]int32, n)}
	for i := range n {
		b.Targets[i], b.Segments[i] = -1, int32(i)
	}
	for r, samples := range rows {
		at := r * length
		for _, tokens := range samples {
			for i, token := range tokens {
				b.Tokens[at+i], b.Positions[at+i], b.Segments[at+i] = token, int32(i), int32(at)
				if i+1 < len(tokens) {
					b.Targets[at+i] = tokens[i+1]
				}
			}
			at += len(tokens)
		}
	}
	b.Trained = trained(b)
	return b
}

// sampleTokens is a fixed sequence of n tokens below vocab, another for each key.
func sampleTokens(key, n, vocab int) []int32 {
	state := uint64(key)*0x9e3779b97f4a7c15 + 1
	out := make([]int32, n)
	for i := range out {
		state = state*6364136223846793005 + 1442695040888963407
		out[i] = int32(state >> 33 % uint64(vocab))
	}
	return out
}
