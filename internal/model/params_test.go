package model

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

// writeModel writes a one-block llama with the given changes to its metadata and extra tensors.
func writeModel(t *testing.T, change map[string]any, extra ...gguf.TensorInfo) *gguf.File {
	t.Helper()
	arch := "llama"
	if a, ok := change["general.architecture"].(string); ok {
		arch = a
	}
	kvs := []gguf.KV{{Key: "general.architecture", Value: arch}}
	defaults := []gguf.KV{
		{Key: "embedding_length", Value: uint32(64)}, {Key: "feed_forward_length", Value: uint32(96)},
		{Key: "block_count", Value: uint32(1)}, {Key: "attention.head_count", Value: uint32(4)},
		{Key: "attention.head_count_kv", Value: uint32(2)}, {Key: "context_length", Value: uint32(256)},
		{Key: "attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
	}
	for _, kv := range defaults {
		if v, ok := change[kv.Key]; ok {
			kv.Value = v
			delete(change, kv.Key)
		}
		if kv.Value != nil {
			kvs = append(kvs, gguf.KV{Key: arch + "." + kv.Key, Value: kv.Value})
		}
	}
	for k, v := range change {
		if k != "general.architecture" {
			kvs = append(kvs, gguf.KV{Key: arch + "." + k, Value: v})
		}
	}
	tensors := append([]gguf.TensorInfo{
		{Name: "token_embd.weight", Dims: []int64{64, 40}, Type: gguf.F32}, {Name: "output_norm.weight", Dims: []int64{64}, Type: gguf.F32},
		{Name: "blk.0.attn_norm.weight", Dims: []int64{64}, Type: gguf.F32}, {Name: "blk.0.ffn_norm.weight", Dims: []int64{64}, Type: gguf.F32},
		{Name: "blk.0.attn_q.weight", Dims: []int64{64, 64}, Type: gguf.F32}, {Name: "blk.0.attn_k.weight", Dims: []int64{64, 32}, Type: gguf.F32},
		{Name: "blk.0.attn_v.weight", Dims: []int64{64, 32}, Type: gguf.F32}, {Name: "blk.0.attn_output.weight", Dims: []int64{64, 64}, Type: gguf.F32},
		{Name: "blk.0.ffn_gate.weight", Dims: []int64{64, 96}, Type: gguf.F32}, {Name: "blk.0.ffn_up.weight", Dims: []int64{64, 96}, Type: gguf.F32},
		{Name: "blk.0.ffn_down.weight", Dims: []int64{96, 64}, Type: gguf.F32},
	}, extra...)
	return write(t, kvs, tensors)
}

func write(t *testing.T, kvs []gguf.KV, tensors []gguf.TensorInfo) *gguf.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	w, err := gguf.Create(path, kvs, tensors)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range tensors {
		size, err := info.Type.RowBytes(info.Elements())
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, size)
		for i := 3; i < len(data); i += 4 {
			data[i] = 0x3f // 0.5 in every element
		}
		if err := w.WriteTensor(info.Name, data); err != nil {
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

func TestReadShape(t *testing.T) {
	p, err := Read(writeModel(t, map[string]any{}))
	if err != nil {
		t.Fatal(err)
	}
	if p.HeadDim != 16 || p.KVHeads != 2 || p.Vocab != 40 || !p.Tied || p.Rope.Neox || p.Rope.Dims != 16 {
		t.Errorf("read %+v", p)
	}
	if got, want := p.Rope.Frequencies[3], math.Pow(10000, -6.0/16); math.Abs(float64(got)-want) > 1e-7 {
		t.Errorf("frequency of pair 3 is %g, want %g", got, want)
	}
}

func TestWhatCannotTrainIsNamed(t *testing.T) {
	cases := []struct {
		change map[string]any
		extra  []gguf.TensorInfo
		want   string
	}{
		{map[string]any{"general.architecture": "gemma2"}, nil, "gemma2"},
		{map[string]any{"general.architecture": "phi3"}, nil, "phi3"},
		{map[string]any{"expert_count": uint32(8)}, nil, "mixtures of experts"},
		{map[string]any{"rope.scaling.type": "longrope"}, nil, "longrope"},
		{map[string]any{"logit_scale": float32(0.1)}, nil, "logit_scale"},
		{map[string]any{}, []gguf.TensorInfo{{Name: "rope_factors_long.weight", Dims: []int64{8}, Type: gguf.F32}}, "rope_factors_long"},
	}
	for _, c := range cases {
		_, err := Read(writeModel(t, c.change, c.extra...))
		var unsupported *UnsupportedError
		if !errors.As(err, &unsupported) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: got %v, want a refusal that names %s", c.change, err, c.want)
		}
	}
}

func TestBrokenMetadataIsAnError(t *testing.T) {
	for _, change := range []map[string]any{
		{"embedding_length": nil}, {"block_count": uint32(0)}, {"attention.head_count_kv": uint32(3)},
		{"block_count": uint64(1 << 50)}, {"rope.dimension_count": uint32(7)}, {"attention.head_count": "four"},
	} {
		if p, err := Read(writeModel(t, change)); err == nil {
			t.Errorf("%v was read as %+v", change, p)
		}
	}
}

func TestRopeScaling(t *testing.T) {
	linear, err := Read(writeModel(t, map[string]any{"rope.scaling.type": "linear", "rope.scaling.factor": float32(4)}))
	if err != nil {
		t.Fatal(err)
	}
	if got := linear.Rope.Frequencies[0]; got != 0.25 {
		t.Errorf("linear scaling by 4 gives frequency %g, want 0.25", got)
	}
	factors, err := Read(writeModel(t, map[string]any{}, gguf.TensorInfo{Name: "rope_freqs.weight", Dims: []int64{8}, Type: gguf.F32}))
	if err != nil {
		t.Fatal(err)
	}
	if got := factors.Rope.Frequencies[0]; got != 2 {
		t.Errorf("rope_freqs of 0.5 give frequency %g, want 2", got)
	}
	yarn, err := Read(writeModel(t, map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(8),
		"rope.scaling.original_context_length": uint32(64)}))
	if err != nil {
		t.Fatal(err)
	}
	// the last pair turns less than once in 64 tokens, so it is scaled whole; the magnitude is 1 + 0.1 ln 8
	plain := math.Pow(10000, -14.0/16)
	if got := float64(yarn.Rope.Frequencies[7]); math.Abs(got/(plain/8)-1) > 1e-6 {
		t.Errorf("yarn gives the last pair frequency %g, want %g", got, plain/8)
	}
	if got, want := float64(yarn.Rope.Magnitude), 1+0.1*math.Log(8); math.Abs(got-want) > 1e-6 {
		t.Errorf("yarn magnitude %g, want %g", got, want)
	}
}
