package train

import (
	"bytes"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// tinyBase is a GGUF of three tensors, two of them 2-D.
func tinyBase(t *testing.T, first float32) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "base.gguf")
	kvs := []gguf.KV{{Key: "general.architecture", Value: "llama"}, {Key: "general.name", Value: "tiny"},
		{Key: "split.count", Value: uint16(1)}, {Key: "tokenizer.ggml.tokens", Value: []string{"a", "b"}}}
	infos := []gguf.TensorInfo{
		{Name: "blk.0.attn_q.weight", Dims: []int64{4, 3}, Type: gguf.F32},
		{Name: "rope_freqs.weight", Dims: []int64{2}, Type: gguf.F32},
		{Name: "blk.0.attn_k.weight", Dims: []int64{4, 2}, Type: gguf.F32},
	}
	w, err := gguf.Create(path, kvs, infos)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{12, 2, 8} {
		v := make([]float32, n)
		for j := range v {
			v[j] = first + float32(100*i+j)
		}
		if err := w.WriteTensor(infos[i].Name, encodeF32(v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// stateOf lays out params of the dimensions given and numbers their weights.
func stateOf(params ...checkpoint.Param) *checkpoint.State {
	s := &checkpoint.State{}
	for _, p := range params {
		p.Offset, p.Len = len(s.Weights), 1
		for _, d := range p.Dims {
			p.Len *= int(d)
		}
		for range p.Len {
			s.Weights = append(s.Weights, float32(math.Sqrt(float64(len(s.Weights)))))
		}
		s.Params = append(s.Params, p)
	}
	return s
}

func TestExportAdapter(t *testing.T) {
	base, path := tinyBase(t, 0), filepath.Join(t.TempDir(), "adapter.gguf")
	s := stateOf(
		checkpoint.Param{Name: "blk.0.attn_q.weight.lora_a", Dims: []int64{4, 2}},
		checkpoint.Param{Name: "blk.0.attn_q.weight.lora_b", Dims: []int64{2, 3}},
		checkpoint.Param{Name: "blk.0.attn_k.weight.lora_a", Dims: []int64{4, 2}},
		checkpoint.Param{Name: "blk.0.attn_k.weight.lora_b", Dims: []int64{2, 2}})
	c := lora.Config{Rank: 2, Alpha: 3, RSLoRA: true}
	if err := ExportAdapter(path, "mine", s, c, base); err != nil {
		t.Fatal(err)
	}
	a, err := lora.ReadAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Check(base); err != nil {
		t.Error(err)
	}
	if len(a.Pairs) != 2 || a.Name != "mine" || math.Abs(a.Scale(a.Pairs[0])-c.Scale()) > 1e-6 {
		t.Fatalf("adapter %+v", a)
	}
	q := a.Pairs[0]
	if q.Base != "blk.0.attn_q.weight" || !reflect.DeepEqual(q.A, s.Weights[:8]) || !reflect.DeepEqual(q.B, s.Weights[8:14]) {
		t.Errorf("first pair %+v", q)
	}
	for name, params := range map[string][]checkpoint.Param{
		"half a pair": s.Params[:1], "other ranks": {s.Params[0], {Name: "blk.0.attn_q.weight.lora_b", Dims: []int64{3, 3}}},
		"no adapter": {{Name: "blk.0.attn_q.weight", Dims: []int64{4, 3}}},
	} {
		if err := ExportAdapter(path+"x", "", stateOf(params...), c, base); err == nil {
			t.Errorf("%s: written", name)
		}
	}
}

func TestExportModel(t *testing.T) {
	base, path := tinyBase(t, 0), filepath.Join(t.TempDir(), "model.gguf")
	s := stateOf(checkpoint.Param{Name: "blk.0.attn_k.weight", Dims: []int64{4, 2}},
		checkpoint.Param{Name: "blk.0.attn_q.weight", Dims: []int64{4, 3}})
	if err := ExportModel(path, s, base); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, want := range map[string][]byte{
		"blk.0.attn_k.weight": encodeF32(s.Weights[:8]), "blk.0.attn_q.weight": encodeF32(s.Weights[8:20]),
		"rope_freqs.weight": encodeF32([]float32{100, 101}),
	} {
		info, ok := f.Tensor(name)
		if !ok || !bytes.Equal(f.Data(info), want) {
			t.Errorf("%s is not what it should be", name)
		}
	}
	if tokens, _ := f.Strings("tokenizer.ggml.tokens"); len(tokens) != 2 {
		t.Errorf("metadata: %v", f.KVs())
	}
	if _, ok := f.Get("split.count"); ok {
		t.Error("the file still says that it is split")
	}
	s.Params[0].Dims = []int64{2, 4}
	if err := ExportModel(path, s, base); err == nil || !strings.Contains(err.Error(), "attn_k") {
		t.Errorf("other shape: %v", err)
	}
}

func TestFingerprints(t *testing.T) {
	if a, b := ModelFingerprint(tinyBase(t, 0)), ModelFingerprint(tinyBase(t, 0)); a != b {
		t.Error("equal models differ")
	}
	if a, b := ModelFingerprint(tinyBase(t, 0)), ModelFingerprint(tinyBase(t, 1)); a == b {
		t.Error("other weights, same fingerprint")
	}
	set := func() *dataset.Set {
		return &dataset.Set{Sources: []dataset.Source{{Path: "a", Weight: 1}}, Samples: []dataset.Sample{
			{Tokens: []int32{1, 2}, Train: []bool{false, true}}, {Tokens: []int32{3}, Train: []bool{false}}}}
	}
	same := set()
	same.Sources[0].Path, same.Samples[0].Line = "moved", 7
	want := DataFingerprint(set())
	if DataFingerprint(same) != want {
		t.Error("where the data lies changes the fingerprint")
	}
	for name, change := range map[string]func(*dataset.Set){
		"token":    func(s *dataset.Set) { s.Samples[0].Tokens[1] = 5 },
		"mask":     func(s *dataset.Set) { s.Samples[0].Train[1] = false },
		"order":    func(s *dataset.Set) { s.Samples[0], s.Samples[1] = s.Samples[1], s.Samples[0] },
		"weight":   func(s *dataset.Set) { s.Sources[0].Weight = 2 },
		"boundary": func(s *dataset.Set) { s.Samples = s.Samples[:1] },
		"source":   func(s *dataset.Set) { s.Samples[1].Source = 1 },
	} {
		s := set()
		change(s)
		if DataFingerprint(s) == want {
			t.Errorf("%s: same fingerprint", name)
		}
	}
}
