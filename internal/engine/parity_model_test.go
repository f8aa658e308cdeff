package engine

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
)

// parityVocab is the vocabulary of the models below.
const parityVocab = 320

// wideModel is a seeded two-block llama whose rows are wide enough for every quantised type (multiples of 256).
type wideModel struct {
	kvs     []gguf.KV
	tensors []gguf.TensorInfo // F32
	values  map[string][]float32
	rng     *rand.Rand
}

func newWideModel(seed uint64) *wideModel {
	const embd, ffn, heads, kvHeads = 256, 512, 4, 2
	m := &wideModel{values: map[string][]float32{}, rng: rand.New(rand.NewPCG(seed, 0))}
	m.kvs = []gguf.KV{
		{Key: "general.architecture", Value: "llama"},
		{Key: "general.name", Value: "wide"},
		{Key: "llama.block_count", Value: uint32(2)},
		{Key: "llama.context_length", Value: uint32(512)},
		{Key: "llama.embedding_length", Value: uint32(embd)},
		{Key: "llama.feed_forward_length", Value: uint32(ffn)},
		{Key: "llama.attention.head_count", Value: uint32(heads)},
		{Key: "llama.attention.head_count_kv", Value: uint32(kvHeads)},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: "llama.rope.freq_base", Value: float32(10000)},
		{Key: "llama.rope.dimension_count", Value: uint32(embd / heads)},
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: "default"},
		{Key: "tokenizer.ggml.merges", Value: []string{"t 1"}},
	}
	var tokens []string
	for i := range parityVocab {
		tokens = append(tokens, fmt.Sprintf("t%d", i))
	}
	m.kvs = append(m.kvs, gguf.KV{Key: "tokenizer.ggml.tokens", Value: tokens},
		gguf.KV{Key: "tokenizer.ggml.token_type", Value: slices.Repeat([]int32{1}, parityVocab)})
	m.matrix("token_embd.weight", embd, parityVocab, math.Sqrt(embd))
	m.matrix("output.weight", embd, parityVocab, 2.5)
	m.vector("output_norm.weight", embd)
	for i := range 2 {
		blk := fmt.Sprintf("blk.%d.", i)
		m.vector(blk+"attn_norm.weight", embd)
		m.vector(blk+"ffn_norm.weight", embd)
		for name, dims := range map[string][2]int64{"attn_q": {embd, embd}, "attn_k": {embd, embd * kvHeads / heads}, "attn_v": {embd, embd * kvHeads / heads},
			"attn_output": {embd, embd}, "ffn_gate": {embd, ffn}, "ffn_up": {embd, ffn}, "ffn_down": {ffn, embd}} {
			m.tensors = append(m.tensors, gguf.TensorInfo{Name: blk + name + ".weight", Dims: dims[:], Type: gguf.F32})
		}
	}
	m.fillRest()
	m.predictNext()
	return m
}

// predictNext makes the head favour one successor for each token, as training would: between the near-ties of purely random
// logits the rounding of activations decides too often which token is on top.
func (m *wideModel) predictNext() {
	const strength = 30
	head, embedding := m.values["output.weight"], m.values["token_embd.weight"]
	width := len(head) / parityVocab
	for token, next := range m.rng.Perm(parityVocab) {
		row, from := head[next*width:(next+1)*width], embedding[token*width:(token+1)*width]
		for i := range row {
			row[i] += strength * from[i] / float32(width)
		}
	}
}

// matrix adds [in, out] normal values of standard deviation gain/sqrt(in).
func (m *wideModel) matrix(name string, in, out int64, gain float64) {
	m.tensors = append(m.tensors, gguf.TensorInfo{Name: name, Dims: []int64{in, out}, Type: gguf.F32})
	m.values[name] = m.normal(in*out, 0, gain/math.Sqrt(float64(in)))
}

func (m *wideModel) vector(name string, n int64) {
	m.tensors = append(m.tensors, gguf.TensorInfo{Name: name, Dims: []int64{n}, Type: gguf.F32})
	m.values[name] = m.normal(n, 1, 0.1)
}

// fillRest draws the linears in the order of their names: a map's order must not reach the values.
func (m *wideModel) fillRest() {
	slices.SortFunc(m.tensors, func(a, b gguf.TensorInfo) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	for _, t := range m.tensors {
		if m.values[t.Name] == nil {
			m.values[t.Name] = m.normal(t.Elements(), 0, 1.2/math.Sqrt(float64(t.Dims[0])))
		}
	}
}

func (m *wideModel) normal(n int64, mean, deviation float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(mean + deviation*m.rng.NormFloat64())
	}
	return out
}

// write puts the model into dir with its matrices as typ.
func (m *wideModel) write(t *testing.T, dir string, typ gguf.Type) string {
	t.Helper()
	infos := slices.Clone(m.tensors)
	for i := range infos {
		if len(infos[i].Dims) == 2 {
			infos[i].Type = typ
		}
	}
	return writeTensors(t, filepath.Join(dir, typ.String()+".gguf"), m.kvs, infos, func(info gguf.TensorInfo) []byte {
		values := m.values[info.Name]
		if info.Type == gguf.F32 {
			return encodeF32(values)
		}
		size, err := info.Type.RowBytes(info.Dims[0])
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, size*info.Dims[1])
		if err := ggml.Quantize(ggml.Type(info.Type), values, int(info.Dims[0]), nil, out); err != nil {
			t.Fatal(err)
		}
		return out
	})
}

// dequantised writes a copy of f with every tensor in F32.
func dequantised(t *testing.T, f *gguf.File, path string) string {
	t.Helper()
	infos := slices.Clone(f.Tensors())
	for i := range infos {
		infos[i].Type = gguf.F32
	}
	return writeTensors(t, path, f.KVs(), infos, func(info gguf.TensorInfo) []byte {
		from, _ := f.Tensor(info.Name)
		values := make([]float32, info.Elements())
		if err := ggml.Dequantize(ggml.Type(from.Type), f.Data(from), values); err != nil {
			t.Fatalf("%s: %v", info.Name, err)
		}
		return encodeF32(values)
	})
}

func writeTensors(t *testing.T, path string, kvs []gguf.KV, infos []gguf.TensorInfo, data func(gguf.TensorInfo) []byte) string {
	t.Helper()
	w, err := gguf.Create(path, kvs, infos)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, info := range infos {
		if err := w.WriteTensor(info.Name, data(info)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return path
}
