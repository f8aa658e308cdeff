package lora

import (
	"fmt"
	"slices"

	"github.com/qlora/qlora/internal/gguf"
)

// Keep is the output type of a merge that leaves every tensor in its own.
const Keep = "keep"

// Scaled is an adapter with the factor that a user puts on its scale.
type Scaled struct {
	*AdapterFile
	Factor float64
}

// Step is what a merge does with one tensor.
type Step struct {
	Tensor  gguf.TensorInfo // of the base
	Choice                  // type in the output
	Adapted bool
}

// copied says that the bytes go over as they are.
func (s Step) copied() bool { return !s.Adapted && s.Type == s.Tensor.Type }

// Plan is a merge that has been checked: nothing about its inputs' shapes and
// types can fail any more.
type Plan struct {
	Steps    []Step // in the base's order
	base     *gguf.File
	adapters []Scaled
	metadata []gguf.KV
	tensors  []gguf.TensorInfo // of the output
	out      map[string]int64  // bytes of each tensor in the output
}

// NewPlan decides how the adapters are merged into base. output is Keep or the
// name of a Mixture. An adapter that does not fit gives a *MismatchError.
func NewPlan(base *gguf.File, adapters []Scaled, output string, supports func(gguf.Type) bool) (*Plan, error) {
	p := &Plan{base: base, adapters: adapters, out: make(map[string]int64)}
	adapted := map[string]bool{}
	for _, a := range adapters {
		if err := a.Check(base); err != nil {
			return nil, err
		}
		for _, pair := range a.Pairs {
			adapted[pair.Base] = true
		}
	}
	if err := p.refuseTied(adapted); err != nil {
		return nil, err
	}
	if err := p.choose(output, adapted); err != nil {
		return nil, err
	}
	return p, p.check(supports)
}

// refuseTied: an adapter of the embedding acts on the embedding alone, but in
// a tied model a merge would change the head as well.
func (p *Plan) refuseTied(adapted map[string]bool) error {
	if _, owned := p.base.Tensor(headTensor); owned || !adapted[embeddingTensor] {
		return nil
	}
	return fmt.Errorf("%s: its head is tied to %s, so the adapter of that tensor cannot be merged without changing the head",
		p.base.Paths()[0], embeddingTensor)
}

func (p *Plan) choose(output string, adapted map[string]bool) error {
	choices := map[string]Choice{}
	p.metadata = withoutSplit(p.base.KVs())
	if output != Keep {
		m, err := ParseMixture(output)
		if err != nil {
			return err
		}
		if choices, err = m.Choose(p.base); err != nil {
			return err
		}
		p.metadata = set(p.metadata, "general.file_type", m.FileType)
		p.metadata = set(p.metadata, "general.quantization_version", uint32(2))
	}
	for _, t := range p.base.Tensors() {
		c, ok := choices[t.Name]
		if !ok {
			c = Choice{t.Type, t.Type}
		}
		p.Steps = append(p.Steps, Step{Tensor: t, Choice: c, Adapted: adapted[t.Name]})
		p.tensors = append(p.tensors, gguf.TensorInfo{Name: t.Name, Dims: t.Dims, Type: c.Type})
	}
	return nil
}

// check refuses types that cannot be converted, before anything is written.
func (p *Plan) check(supports func(gguf.Type) bool) error {
	for _, s := range p.Steps {
		size, err := s.Type.RowBytes(s.Tensor.Elements())
		if err != nil {
			return fmt.Errorf("tensor %s: %w", s.Tensor.Name, err)
		}
		p.out[s.Tensor.Name] = size
		if s.copied() {
			continue
		}
		for _, t := range []gguf.Type{s.Tensor.Type, s.Type} {
			if !supports(t) {
				return fmt.Errorf("tensor %s: this build cannot convert from %s to %s; choose another output type",
					s.Tensor.Name, s.Tensor.Type, s.Type)
			}
		}
	}
	return nil
}

// SetMetadata sets a key of the merged model.
func (p *Plan) SetMetadata(key string, value any) { p.metadata = set(p.metadata, key, value) }

// Bytes of tensor data that the merge will write, without padding.
func (p *Plan) Bytes() int64 {
	n := int64(0)
	for _, size := range p.out {
		n += size
	}
	return n
}

// withoutSplit drops the keys that say a model is in several files.
func withoutSplit(kvs []gguf.KV) []gguf.KV {
	return slices.DeleteFunc(slices.Clone(kvs), func(kv gguf.KV) bool {
		return kv.Key == gguf.SplitNoKey || kv.Key == gguf.SplitCountKey || kv.Key == gguf.SplitTensorsKey
	})
}

// set replaces a value in place or appends it.
func set(kvs []gguf.KV, key string, value any) []gguf.KV {
	for i := range kvs {
		if kvs[i].Key == key {
			kvs[i].Value = value
			return kvs
		}
	}
	return append(kvs, gguf.KV{Key: key, Value: value})
}
