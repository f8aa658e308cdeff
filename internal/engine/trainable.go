package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/model"
)

// trainable is everything that learns: values, gradient and AdamW moments in four flat vectors of one layout. Matrices come
// first and decay; vectors (norms and biases) follow and do not.
type trainable struct {
	store      *ggml.Store
	params     []checkpoint.Param
	index      map[string]int
	n, decayed int64
	w, g, m, v *ggml.Tensor
	values     map[string]*ggml.Tensor // views by name
	grads      map[string]*ggml.Tensor
}

// adapterParams lists A [in, r] and B [r, out] of every target, in the order of the targets but for this: of linears that
// read the same input, every A comes before every B, so that their adapters are one piece of memory.
func adapterParams(targets []gguf.TensorInfo, rank int) []checkpoint.Param {
	var out, bs []checkpoint.Param
	group := ""
	for _, t := range targets {
		if g := groupName(t.Name); g != group {
			out, bs, group = append(out, bs...), nil, g
		}
		out = append(out, checkpoint.Param{Name: t.Name + ".lora_a", Dims: []int64{t.Dims[0], int64(rank)}})
		bs = append(bs, checkpoint.Param{Name: t.Name + ".lora_b", Dims: []int64{int64(rank), t.Dims[1]}})
	}
	return append(out, bs...)
}

// groupName is the same for the linears of a block that read the same input.
var groupName = strings.NewReplacer("attn_q.", "qkv.", "attn_k.", "qkv.", "attn_v.", "qkv.", "ffn_gate.", "gate_up.", "ffn_up.", "gate_up.").Replace

// fullParams lists every weight of the file; all must be F32.
func fullParams(f *gguf.File) ([]checkpoint.Param, error) {
	var out []checkpoint.Param
	for _, t := range f.Tensors() {
		if t.Name == "rope_freqs.weight" {
			continue
		}
		if t.Type != gguf.F32 {
			return nil, fmt.Errorf("method full needs an F32 model, but %s of %s is %s", t.Name, f.Paths()[0], t.Type)
		}
		out = append(out, checkpoint.Param{Name: t.Name, Dims: slices.Clone(t.Dims)})
	}
	return out, nil
}

// layTrainable lays params out in the vectors, which have no memory yet, and fills in their Offset and Len.
func layTrainable(params []checkpoint.Param) *trainable {
	matrix := func(p checkpoint.Param) bool { return len(p.Dims) > 1 }
	slices.SortStableFunc(params, func(a, b checkpoint.Param) int {
		switch {
		case matrix(a) == matrix(b):
			return 0
		case matrix(a):
			return -1
		}
		return 1
	})
	t := &trainable{params: params, index: map[string]int{}}
	for i := range params {
		p := &params[i]
		p.Offset, p.Len = int(t.n), elements(p.Dims)
		t.n += int64(p.Len)
		if matrix(*p) {
			t.decayed = t.n
		}
		t.index[p.Name] = i
	}
	return t
}

func elements(dims []int64) int {
	n := int64(1)
	for _, d := range dims {
		n *= d
	}
	return int(n)
}

func (t *trainable) alloc(backend *ggml.Backend) error {
	store, err := ggml.NewStore(4*len(t.params) + 16)
	if err != nil {
		return err
	}
	t.store = store
	t.w, t.g = store.New("weights", ggml.F32, t.n), store.New("gradient", ggml.F32, t.n)
	t.m, t.v = store.New("moment1", ggml.F32, t.n), store.New("moment2", ggml.F32, t.n)
	if err := store.Alloc(backend); err != nil {
		return fmt.Errorf("allocate %d trained values: %w", t.n, err)
	}
	t.values, t.grads = map[string]*ggml.Tensor{}, map[string]*ggml.Tensor{}
	for _, p := range t.params {
		d := p.Dims[0]
		t.values[p.Name] = store.View(t.w, p.Name, int64(p.Offset), d, int64(p.Len)/d)
		t.grads[p.Name] = store.View(t.g, p.Name, int64(p.Offset), d, int64(p.Len)/d)
	}
	for _, x := range []*ggml.Tensor{t.w, t.g, t.m, t.v} {
		x.Zero()
	}
	return nil
}

// fill writes the initial adapters: A uniform, B zero, so that training starts from the base model.
func (t *trainable) fill(targets []gguf.TensorInfo, c lora.Config, seed uint64) error {
	for _, base := range targets {
		a := lora.Init(seed, base.Name, c.Rank, int(base.Dims[0]))
		if err := t.set(base.Name+".lora_a", a); err != nil {
			return err
		}
	}
	return nil
}

// fillFrom copies the weights of an F32 model.
func (t *trainable) fillFrom(f *gguf.File, w *model.Weights) error {
	for _, p := range t.params {
		info, _ := f.Tensor(p.Name)
		values := make([]float32, p.Len)
		if err := ggml.Dequantize(ggml.F32, f.Data(info), values); err != nil {
			return fmt.Errorf("copy %s: %w", p.Name, err)
		}
		if err := t.set(p.Name, values); err != nil {
			return err
		}
	}
	return nil
}

// fillAdapter continues from an adapter file, whose scale is folded into B where it differs from the run's.
func (t *trainable) fillAdapter(path string, c lora.Config, f *gguf.File) error {
	a, err := lora.ReadAdapter(path)
	if err != nil {
		return err
	}
	if err := a.Check(f); err != nil {
		return err
	}
	seen := 0
	for _, p := range a.Pairs {
		if _, ok := t.index[p.Base+".lora_a"]; !ok {
			return fmt.Errorf("continue from %s: it adapts %s, which --target leaves out", path, p.Base)
		}
		if p.Rank != c.Rank {
			return fmt.Errorf("continue from %s: its rank is %d, --rank is %d", path, p.Rank, c.Rank)
		}
		factor := float32(a.Scale(p) / c.Scale())
		b := slices.Clone(p.B)
		for i := range b {
			b[i] *= factor
		}
		if err := t.set(p.Base+".lora_a", p.A); err != nil {
			return err
		}
		if err := t.set(p.Base+".lora_b", b); err != nil {
			return err
		}
		seen += 2
	}
	if seen != len(t.params) {
		return fmt.Errorf("continue from %s: it adapts %d tensors, --target asks for %d", path, seen/2, len(t.params)/2)
	}
	return nil
}

// span is the part of the flat vector x from parameter first to parameter last.
func (t *trainable) span(x *ggml.Tensor, first, last string) *ggml.Tensor {
	a, b := t.params[t.index[first]], t.params[t.index[last]]
	return t.store.View(x, first, int64(a.Offset), int64(b.Offset+b.Len-a.Offset), 1)
}

func (t *trainable) set(name string, values []float32) error {
	p := t.params[t.index[name]]
	if len(values) != p.Len {
		return fmt.Errorf("set %s: %d values, want %d", name, len(values), p.Len)
	}
	return t.w.SetF32(int64(p.Offset), values)
}

func (t *trainable) Close() error { return t.store.Close() }
