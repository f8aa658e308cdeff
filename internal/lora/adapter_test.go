package lora

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

func TestWriteThenReadAdapter(t *testing.T) {
	base := newBase(t, false)
	a := newAdapter(t, base, "all,output", 3, 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "a.gguf")
	for _, p := range []string{path, filepath.Join(dir, "again.gguf")} {
		if err := WriteAdapter(p, a, base); err != nil {
			t.Fatal(err)
		}
	}
	one, _ := os.ReadFile(path)
	two, _ := os.ReadFile(filepath.Join(dir, "again.gguf"))
	if !bytes.Equal(one, two) {
		t.Error("the same adapter gave two different files")
	}
	got, err := ReadAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.Path != path {
		t.Errorf("path is %q", got.Path)
	}
	got.Path = ""
	if !reflect.DeepEqual(got, a) {
		t.Errorf("read back\n got %+v\nwant %+v", got, a)
	}
	if err := got.Check(base); err != nil {
		t.Error(err)
	}
}

// What llama.cpp's loader looks for, by its names.
func TestAdapterFileIsWhatLlamaCppLoads(t *testing.T) {
	base := newBase(t, false)
	path := filepath.Join(t.TempDir(), "a.gguf")
	if err := WriteAdapter(path, newAdapter(t, base, "ffn_down", 3, 1), base); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	for key, want := range map[string]any{
		"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora",
		"adapter.lora.alpha": float32(12), "general.name": "test", "general.base_model.0.name": "tiny",
	} {
		if got, _ := f.Get(key); got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	for name, dims := range map[string][]int64{
		"blk.1.ffn_down.weight.lora_a": {12, 3}, "blk.1.ffn_down.weight.lora_b": {3, 8},
	} {
		ti, ok := f.Tensor(name)
		if !ok || ti.Type != gguf.F32 || !reflect.DeepEqual(ti.Dims, dims) {
			t.Errorf("%s is %+v, want F32 %v", name, ti, dims)
		}
	}
	if len(f.Tensors()) != 4 {
		t.Errorf("%d tensors, want 4", len(f.Tensors()))
	}
}

func TestWriteAdapterRefuses(t *testing.T) {
	base := newBase(t, true)
	path := filepath.Join(t.TempDir(), "a.gguf")
	short := newAdapter(t, base, "attn_q", 2, 1)
	short.Pairs[0].B = short.Pairs[0].B[1:]
	wantError(t, WriteAdapter(path, short, base), "blk.0.attn_q.weight", "15 values")
	embedding := &Adapter{Arch: "llama", Pairs: []Pair{{Base: "token_embd.weight", Rank: 1, NIn: 8, NOut: 20, A: make([]float32, 8), B: make([]float32, 20)}}}
	wantError(t, WriteAdapter(path, embedding, base), "token_embd.weight is not a linear")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was left: %v", err)
	}
}

func TestCheck(t *testing.T) {
	base, tied := newBase(t, false), newBase(t, true)
	edit := func(f func(*Adapter)) *Adapter {
		a := newAdapter(t, base, "attn_k,output", 2, 1)
		a.Path = "dir/mine.gguf"
		f(a)
		return a
	}
	for _, tt := range []struct {
		a    *Adapter
		base *gguf.File
		want []string
	}{
		{edit(func(a *Adapter) { a.Arch = "qwen2" }), base, []string{`"qwen2"`, `"llama"`}},
		{edit(func(a *Adapter) { a.Pairs[0].Base = "blk.9.attn_k.weight" }), base, []string{"no tensor blk.9.attn_k.weight"}},
		{edit(func(a *Adapter) { a.Pairs[1].NOut = 5 }), base, []string{"blk.1.attn_k.weight is 8 x 5", "8 x 4"}},
		{edit(func(a *Adapter) { a.Pairs[1].NIn = 9 }), base, []string{"9 x 4"}},
		{edit(func(a *Adapter) { a.Pairs[0].Base = "output_norm.weight" }), base, []string{"1 dimensions"}},
		{edit(func(a *Adapter) { a.Pairs = nil }), base, []string{"no tensors"}},
		{edit(func(a *Adapter) {}), tied, []string{"output.weight", "tied"}},
	} {
		err := tt.a.Check(tt.base)
		wantError(t, err, append(tt.want, "dir/mine.gguf", "base.gguf")...)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) {
			t.Errorf("%v is no MismatchError", err)
		}
	}
}

// fileWith writes an adapter file with the given oddities.
func fileWith(t *testing.T, set map[string]any, tensors []gguf.TensorInfo, values map[string][]float32) string {
	t.Helper()
	meta := map[string]any{"general.type": "adapter", "general.architecture": "llama", "adapter.type": "lora", "adapter.lora.alpha": float32(4)}
	for k, v := range set {
		meta[k] = v
	}
	var kvs []gguf.KV
	for k, v := range meta {
		if v != nil {
			kvs = append(kvs, gguf.KV{Key: k, Value: v})
		}
	}
	path := filepath.Join(t.TempDir(), "a.gguf")
	writeFile(t, path, kvs, tensors, values)
	return path
}

func pairInfos(base string, a, b []int64) []gguf.TensorInfo {
	return []gguf.TensorInfo{{Name: base + ".lora_a", Dims: a}, {Name: base + ".lora_b", Dims: b}}
}

func TestReadAdapterRefuses(t *testing.T) {
	good := pairInfos("x.weight", []int64{4, 2}, []int64{2, 3})
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for name, tt := range map[string]struct {
		set     map[string]any
		tensors []gguf.TensorInfo
		values  map[string][]float32
		want    string
	}{
		"a model":     {map[string]any{"general.type": "model"}, good, nil, `general.type is "model"`},
		"no type":     {map[string]any{"general.type": nil}, good, nil, `general.type is ""`},
		"other kind":  {map[string]any{"adapter.type": "control_vector"}, good, nil, "adapter.type"},
		"no arch":     {map[string]any{"general.architecture": nil}, good, nil, "general.architecture is missing"},
		"alora":       {map[string]any{"adapter.alora.invocation_tokens": []uint32{1}}, good, nil, "activated"},
		"nan alpha":   {map[string]any{"adapter.lora.alpha": nan}, good, nil, "adapter.lora.alpha is NaN"},
		"no B":        {nil, good[:1], nil, "no x.weight.lora_b"},
		"no A":        {nil, good[1:], nil, "no x.weight.lora_a"},
		"other names": {nil, append([]gguf.TensorInfo{{Name: "y.weight", Dims: []int64{4}}}, good...), nil, "y.weight ends in neither"},
		"ranks":       {nil, pairInfos("x.weight", []int64{4, 2}, []int64{3, 3}), nil, "rank 2"},
		"experts":     {nil, pairInfos("x.weight", []int64{4, 2, 2}, []int64{2, 3, 2}), nil, "experts"},
		"nan":         {nil, good, map[string][]float32{"x.weight.lora_b": {0, 0, 0, nan, 0, 0}}, "value 3 is NaN"},
		"infinity":    {nil, good, map[string][]float32{"x.weight.lora_b": {inf, 0, 0, 0, 0, 0}}, "value 0 is -Inf"},
	} {
		t.Run(name, func(t *testing.T) {
			path := fileWith(t, tt.set, tt.tensors, tt.values)
			_, err := ReadAdapter(path)
			wantError(t, err, path, tt.want)
		})
	}
	_, err := ReadAdapter(filepath.Join(t.TempDir(), "none.gguf"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestReadAdapterIgnoresNormsAloud(t *testing.T) {
	tensors := append(pairInfos("x.weight", []int64{4, 2}, []int64{2, 3}), gguf.TensorInfo{Name: "blk.0.attn_norm.weight", Dims: []int64{4}})
	a, err := ReadAdapter(fileWith(t, nil, tensors, nil))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a.Ignored, []string{"blk.0.attn_norm.weight"}) || len(a.Pairs) != 1 {
		t.Errorf("ignored %v, %d pairs", a.Ignored, len(a.Pairs))
	}
}

// The embedding's pair is stored the other way round: it is x -> B get_rows(A).
func TestReadAdapterTurnsTheEmbedding(t *testing.T) {
	tensors := pairInfos("token_embd.weight", []int64{2, 3}, []int64{2, 4}) // vocabulary 3, n_embd 4
	av := []float32{1, 2, 3, 4, 5, 6}
	bv := []float32{1, 10, 2, 20, 3, 30, 4, 40}
	a, err := ReadAdapter(fileWith(t, nil, tensors, map[string][]float32{"token_embd.weight.lora_a": av, "token_embd.weight.lora_b": bv}))
	if err != nil {
		t.Fatal(err)
	}
	p := a.Pairs[0]
	if p.NIn != 4 || p.NOut != 3 || p.Rank != 2 {
		t.Fatalf("pair is %+v", p)
	}
	for token := range 3 {
		for e := range 4 {
			var got, want float32
			for k := range 2 {
				got += p.B[token*2+k] * p.A[k*4+e]
				want += av[token*2+k] * bv[e*2+k]
			}
			if got != want {
				t.Errorf("row %d column %d is %g, want %g", token, e, got, want)
			}
		}
	}
}

func TestReadsHalfPrecision(t *testing.T) {
	path := filepath.Join(t.TempDir(), "half.gguf")
	tensors := []gguf.TensorInfo{
		{Name: "x.lora_a", Dims: []int64{4, 1}, Type: gguf.F16}, {Name: "x.lora_b", Dims: []int64{1, 2}, Type: gguf.BF16},
	}
	w, err := gguf.Create(path, []gguf.KV{{Key: "general.type", Value: "adapter"}, {Key: "general.architecture", Value: "llama"}, {Key: "adapter.type", Value: "lora"}}, tensors)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	halves := binary.LittleEndian.AppendUint16(nil, 0x3c00)   // 1
	halves = binary.LittleEndian.AppendUint16(halves, 0xc100) // -2.5
	halves = binary.LittleEndian.AppendUint16(halves, 0x0001) // 2^-24
	halves = binary.LittleEndian.AppendUint16(halves, 0x8400) // -2^-14
	if err := errors.Join(w.WriteTensor("x.lora_a", halves), w.WriteTensor("x.lora_b", []byte{0x80, 0x3f, 0x20, 0xc0}), w.Commit()); err != nil {
		t.Fatal(err)
	}
	a, err := ReadAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	wantA := []float32{1, -2.5, float32(math.Ldexp(1, -24)), float32(-math.Ldexp(1, -14))}
	if p := a.Pairs[0]; !reflect.DeepEqual(p.A, wantA) || !reflect.DeepEqual(p.B, []float32{1, -2.5}) {
		t.Errorf("A = %v, B = %v", p.A, p.B)
	}
	if a.Alpha != 0 || a.Scale(a.Pairs[0]) != 1 {
		t.Errorf("alpha %g scale %g, want 0 and 1", a.Alpha, a.Scale(a.Pairs[0]))
	}
}
