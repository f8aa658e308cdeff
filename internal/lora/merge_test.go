package lora

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

func opened(t *testing.T, a *Adapter, base *gguf.File) *AdapterFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := WriteAdapter(path, a, base); err != nil {
		t.Fatal(err)
	}
	f, err := OpenAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// merge runs a whole merge and gives the file and the reports by name.
func merge(t *testing.T, base *gguf.File, adapters []Scaled, output string) (*gguf.File, map[string]TensorReport) {
	t.Helper()
	k := plainKernels()
	p, err := NewPlan(base, adapters, output, k.Supports)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "merged.gguf")
	reports := map[string]TensorReport{}
	var order []string
	progress := int64(0)
	err = p.Merge(context.Background(), path, k, MergeOptions{Threads: 3,
		Report:   func(r TensorReport) { reports[r.Tensor.Name] = r; order = append(order, r.Tensor.Name) },
		Progress: func(n int64) { progress += n }})
	if err != nil {
		t.Fatal(err)
	}
	if progress != p.Bytes() {
		t.Errorf("progress came to %d of %d bytes", progress, p.Bytes())
	}
	for i, ti := range base.Tensors() {
		if i >= len(order) || order[i] != ti.Name {
			t.Fatalf("reports came as %v", order)
		}
	}
	return openFile(t, path), reports
}

func values(t *testing.T, f *gguf.File, name string) []float32 {
	t.Helper()
	ti, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	out := make([]float32, ti.Elements())
	if err := plainKernels().Dequantize(ti.Type, f.Data(ti), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// exactMerge computes W + Σ factor·alpha/r·B·A in float64.
func exactMerge(w []float32, name string, adapters []Scaled, loaded []*Adapter) []float64 {
	out := make([]float64, len(w))
	for i, x := range w {
		out[i] = float64(x)
	}
	for n, a := range loaded {
		p, ok := a.Pair(name)
		if !ok {
			continue
		}
		scale := adapters[n].Factor * a.Alpha / float64(p.Rank)
		for i := range out {
			row, col := i/int(p.NIn), i%int(p.NIn)
			for k := range p.Rank {
				out[i] += scale * float64(p.B[row*p.Rank+k]) * float64(p.A[k*int(p.NIn)+col])
			}
		}
	}
	return out
}

func distance(got []float32, want []float64) float64 {
	var d, n float64
	for i, w := range want {
		d += (float64(got[i]) - w) * (float64(got[i]) - w)
		n += w * w
	}
	return math.Sqrt(d / n)
}

func TestMergeKeepsWhatIsNotAdapted(t *testing.T) {
	base := newBase(t, false)
	a := newAdapter(t, base, "attn_q,ffn_down", 3, 1)
	adapters := []Scaled{{opened(t, a, base), 1}}
	merged, reports := merge(t, base, adapters, Keep)
	if !reflect.DeepEqual(merged.KVs(), base.KVs()) {
		t.Errorf("metadata\n got %v\nwant %v", merged.KVs(), base.KVs())
	}
	changed := 0
	for i, ti := range base.Tensors() {
		got := merged.Tensors()[i]
		if got.Name != ti.Name || !reflect.DeepEqual(got.Dims, ti.Dims) || got.Type != ti.Type {
			t.Errorf("tensor %d is %+v, want %+v", i, got, ti)
		}
		_, adapted := a.Pair(ti.Name)
		if same := bytes.Equal(merged.Data(got), base.Data(ti)); same == adapted {
			t.Errorf("%s: adapted %v, bytes unchanged %v", ti.Name, adapted, same)
		}
		if adapted {
			changed++
			want := exactMerge(values(t, base, ti.Name), ti.Name, adapters, []*Adapter{a})
			if d := distance(values(t, merged, ti.Name), want); d > 1e-6 {
				t.Errorf("%s is off by %g", ti.Name, d)
			}
		}
		if r := reports[ti.Name]; r.Adapted != adapted || (r.Change > 0) != adapted || r.Error != 0 {
			t.Errorf("%s: report %+v", ti.Name, r)
		}
	}
	if changed != 4 {
		t.Errorf("%d tensors changed, want 4", changed)
	}
}

func TestMergeSumsAdapters(t *testing.T) {
	base := newBase(t, false)
	loaded := []*Adapter{newAdapter(t, base, "attn_q,output", 3, 1), newAdapter(t, base, "attn_q,ffn_up", 5, 2)}
	adapters := []Scaled{{opened(t, loaded[0], base), -0.5}, {opened(t, loaded[1], base), 2}}
	merged, reports := merge(t, base, adapters, Keep)
	for _, name := range []string{"blk.0.attn_q.weight", "blk.1.attn_q.weight", "blk.0.ffn_up.weight", "output.weight"} {
		before := values(t, base, name)
		want := exactMerge(before, name, adapters, loaded)
		if d := distance(values(t, merged, name), want); d > 1e-6 {
			t.Errorf("%s is off by %g", name, d)
		}
		exact := make([]float64, len(before))
		for i, x := range before {
			exact[i] = float64(x)
		}
		after := values(t, merged, name)
		if change := distance(after, exact); math.Abs(reports[name].Change-change) > 1e-6*change {
			t.Errorf("%s: reported change %g, is %g", name, reports[name].Change, change)
		}
	}
}

// bigBase has a tensor of several chunks, with an odd number of rows.
func bigBase(t *testing.T) *gguf.File {
	t.Helper()
	tensors := []gguf.TensorInfo{
		{Name: "token_embd.weight", Dims: []int64{512, 2501}},
		{Name: "blk.0.attn_q.weight", Dims: []int64{512, 1125}},
		{Name: "blk.0.attn_norm.weight", Dims: []int64{512}},
	}
	return writeFile(t, filepath.Join(t.TempDir(), "big.gguf"),
		[]gguf.KV{{Key: "general.architecture", Value: "llama"}, {Key: "general.file_type", Value: uint32(0)}, {Key: "general.name", Value: "big"}}, tensors, nil)
}

func TestMergeConverts(t *testing.T) {
	base := bigBase(t)
	a := newAdapter(t, base, "attn_q", 7, 1)
	adapters := []Scaled{{opened(t, a, base), 1}}
	for _, tt := range []struct {
		output   string
		typ      gguf.Type
		fileType uint32
		worst    float64
	}{{"f32", gguf.F32, 0, 1e-6}, {"F16", gguf.F16, 1, 3e-4}, {"q8_0", gguf.Q8_0, 7, 1e-2}} {
		merged, reports := merge(t, base, adapters, tt.output)
		if n, _ := merged.Uint("general.file_type"); uint32(n) != tt.fileType || merged.KVs()[1].Key != "general.file_type" {
			t.Errorf("%s: metadata %v", tt.output, merged.KVs())
		}
		for _, name := range []string{"token_embd.weight", "blk.0.attn_q.weight"} {
			if ti, _ := merged.Tensor(name); ti.Type != tt.typ {
				t.Errorf("%s: %s is %s", tt.output, name, ti.Type)
			}
			want := exactMerge(values(t, base, name), name, adapters, []*Adapter{a})
			d := distance(values(t, merged, name), want)
			if d > tt.worst {
				t.Errorf("%s: %s is off by %g", tt.output, name, d)
			}
			if r := reports[name].Error; math.Abs(r-d) > 1e-3*d+1e-6 {
				t.Errorf("%s: %s: reported error %g, is %g", tt.output, name, r, d)
			}
		}
		if ti, _ := merged.Tensor("blk.0.attn_norm.weight"); ti.Type != gguf.F32 {
			t.Errorf("%s: the norm is %s", tt.output, ti.Type)
		}
	}
}

func TestMergeReadsSplitBase(t *testing.T) {
	base := newBase(t, true)
	dir := t.TempDir()
	for no, part := range [][]gguf.TensorInfo{base.Tensors()[:5], base.Tensors()[5:]} {
		kvs := []gguf.KV{{Key: "split.no", Value: uint16(no)}, {Key: "split.count", Value: uint16(2)}, {Key: "split.tensors.count", Value: int32(len(base.Tensors()))}}
		if no == 0 {
			kvs = append(base.KVs(), kvs...)
		}
		data := map[string][]float32{}
		for _, ti := range part {
			data[ti.Name] = values(t, base, ti.Name)
		}
		writeOnly(t, gguf.SplitPath(filepath.Join(dir, "m"), no, 2), kvs, part, data)
	}
	split := openFile(t, gguf.SplitPath(filepath.Join(dir, "m"), 0, 2))
	adapters := []Scaled{{opened(t, newAdapter(t, base, "all", 2, 1), base), 1}}
	whole, _ := merge(t, base, adapters, "f16")
	joined, _ := merge(t, split, adapters, "f16")
	one, _ := os.ReadFile(whole.Paths()[0])
	two, _ := os.ReadFile(joined.Paths()[0])
	if len(one) == 0 || !bytes.Equal(one, two) {
		t.Errorf("merging the split base gave another file: %d and %d bytes", len(one), len(two))
	}
}

func TestNewPlanRefuses(t *testing.T) {
	base, tied := newBase(t, false), newBase(t, true)
	k := plainKernels()
	fit := opened(t, newAdapter(t, base, "attn_q", 2, 1), base)
	foreign := opened(t, newAdapter(t, base, "output", 2, 1), base)
	_, err := NewPlan(tied, []Scaled{{fit, 1}, {foreign, 1}}, Keep, k.Supports)
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) {
		t.Errorf("foreign adapter: %v", err)
	}
	_, err = NewPlan(base, []Scaled{{fit, 1}}, "q9_9", k.Supports)
	wantError(t, err, "q9_9", "q4_k_m")
	_, err = NewPlan(base, []Scaled{{fit, 1}}, "bf16", k.Supports)
	wantError(t, err, "cannot convert from F32 to BF16")
	_, err = NewPlan(base, []Scaled{{fit, 1}}, "q8_0", k.Supports)
	wantError(t, err, "rows of 8 values cannot be stored as Q8_0")

	embedding, err := OpenAdapter(fileWith(t, nil, pairInfos("token_embd.weight", []int64{2, 20}, []int64{2, 8}), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer embedding.Close()
	_, err = NewPlan(tied, []Scaled{{embedding, 1}}, Keep, k.Supports)
	wantError(t, err, "tied")
	if _, err := NewPlan(base, []Scaled{{embedding, 1}}, Keep, k.Supports); err != nil {
		t.Errorf("embedding of an untied model: %v", err)
	}
}

// Whatever goes wrong half way, the old output stays and nothing else does.
func TestMergeFailsCleanly(t *testing.T) {
	base := bigBase(t)
	adapter := newAdapter(t, base, "attn_q", 2, 1)
	huge := newAdapter(t, base, "attn_q", 2, 1)
	huge.Alpha = 1e30
	ctx, cancel := context.WithCancel(context.Background())
	for name, tt := range map[string]struct {
		adapter *Adapter
		output  string
		edit    func(*Kernels)
		want    string
	}{
		"dequantise": {adapter, "f16", func(k *Kernels) {
			k.Dequantize = func(gguf.Type, []byte, []float32) error { return errors.New("boom") }
		}, "token_embd.weight: boom"},
		"store": {adapter, "f16", func(k *Kernels) {
			k.Store = func(gguf.Type, []float32, int, []byte, []float32) (float64, float64, error) {
				return 0, 0, errors.New("bang")
			}
		}, "token_embd.weight: bang"},
		"overflow": {huge, "f16", func(*Kernels) {}, "too large for F16"},
		"not finite": {adapter, Keep, func(k *Kernels) {
			k.AddProduct = func(w, b, a []float32, rank, n int) error { w[0] = float32(math.NaN()); return nil }
		}, "not finite"},
		"interrupt": {adapter, "f16", func(k *Kernels) { k.Compare = func(x, y []float32) (float64, float64) { cancel(); return 0, 1 } }, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			k := plainKernels()
			tt.edit(&k)
			p, err := NewPlan(base, []Scaled{{opened(t, tt.adapter, base), 1}}, tt.output, k.Supports)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			path := filepath.Join(dir, "out.gguf")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			use := context.Background()
			if name == "interrupt" {
				use = ctx
			}
			wantError(t, p.Merge(use, path, k, MergeOptions{}), tt.want)
			entries, _ := os.ReadDir(dir)
			if old, _ := os.ReadFile(path); string(old) != "old" || len(entries) != 1 {
				t.Errorf("the old file holds %q, the folder %v", old, entries)
			}
		})
	}
}

func TestMergeFindsBadAdapterValues(t *testing.T) {
	base := newBase(t, false)
	path := fileWith(t, nil, pairInfos("blk.1.attn_k.weight", []int64{8, 1}, []int64{1, 4}),
		map[string][]float32{"blk.1.attn_k.weight.lora_b": {1, float32(math.NaN()), 1, 1}})
	a, err := OpenAdapter(path)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	k := plainKernels()
	p, err := NewPlan(base, []Scaled{{a, 1}}, Keep, k.Supports)
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, p.Merge(context.Background(), filepath.Join(t.TempDir(), "o.gguf"), k, MergeOptions{}), "blk.1.attn_k.weight.lora_b", "NaN")
}
