package llamatest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// AdapterOptions shapes a LoRA adapter with random A and B for the model that
// the same Options make.
type AdapterOptions struct {
	Rank    int      // [4]
	Alpha   float32  // [Rank]
	Targets []string // linears by GGUF name, such as attn_q [all seven]
	Seed    uint64
	Arch    string // [the model's]
	// IntegerAlpha stores alpha as an integer, which libllama aborts on.
	IntegerAlpha bool
}

func (a AdapterOptions) withDefaults(o Options) AdapterOptions {
	if a.Rank == 0 {
		a.Rank = 4
	}
	if a.Alpha == 0 {
		a.Alpha = float32(a.Rank)
	}
	if a.Targets == nil {
		a.Targets = linearNames
	}
	if a.Arch == "" {
		a.Arch = o.Arch
	}
	return a
}

// Adapter writes a LoRA adapter for the model of o to path.
func Adapter(t testing.TB, path string, o Options, a AdapterOptions) {
	t.Helper()
	o = o.withDefaults()
	a = a.withDefaults(o)
	f := &file{tensors: adapterTensors(o, a)}
	f.set("general.type", "adapter")
	f.set("general.architecture", a.Arch)
	f.set("adapter.type", "lora")
	if a.IntegerAlpha {
		f.set("adapter.lora.alpha", uint32(a.Alpha))
	} else {
		f.set("adapter.lora.alpha", a.Alpha)
	}
	f.write(t, path)
}

// adapterTensors returns A (in x rank) and B (rank x out) of every target, in
// pairs. Their product is about half the weight it is added to.
func adapterTensors(o Options, a AdapterOptions) []tensor {
	rng := rand.New(rand.NewPCG(a.Seed, 2))
	var tensors []tensor
	for layer := range o.Layers {
		for _, name := range a.Targets {
			s := o.linears()[name]
			base := fmt.Sprintf("blk.%d.%s.weight", layer, name)
			tensors = append(tensors,
				matrix(rng, base+".lora_a", shape{s.in, a.Rank}, 1),
				matrix(rng, base+".lora_b", shape{a.Rank, s.out}, 0.5))
		}
	}
	return tensors
}

// Merged writes the model of o with the adapter of a added into its weights:
// W + scale * alpha/rank * B A.
func Merged(t testing.TB, path string, o Options, a AdapterOptions, scale float32) {
	t.Helper()
	o = o.withDefaults()
	a = a.withDefaults(o)
	f := modelFile(o)
	pairs := adapterTensors(o, a)
	for i := 0; i < len(pairs); i += 2 {
		name := pairs[i].name[:len(pairs[i].name)-len(".lora_a")]
		at := slices.IndexFunc(f.tensors, func(w tensor) bool { return w.name == name })
		addProduct(f.tensors[at], pairs[i], pairs[i+1], scale*a.Alpha/float32(a.Rank))
	}
	f.write(t, path)
}

// addProduct adds factor * B A to w; a row of each is contiguous.
func addProduct(w, a, b tensor, factor float32) {
	in, rank := a.dims[0], a.dims[1]
	for row := range b.dims[1] {
		for r := range rank {
			k := factor * b.data[row*rank+r]
			for col := range in {
				w.data[row*in+col] += k * a.data[r*in+col]
			}
		}
	}
}
