package lora

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// Choose gives every tensor of f the type that llama.cpp's quantisation tool
// would give it without an importance matrix (llama-quant.cpp). Some choices
// depend on how many tensors of a kind came before, so that all are made at
// once, in llama.cpp's order: by block, then by name.
func (m Mixture) Choose(f *gguf.File) (map[string]Choice, error) {
	order := slices.Clone(f.Tensors())
	slices.SortFunc(order, func(a, b gguf.TensorInfo) int {
		return cmp.Or(cmp.Compare(blockOf(a.Name), blockOf(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	c := newChooser(m, f)
	choices := make(map[string]Choice, len(order))
	for _, t := range order {
		if !convertible(t) {
			choices[t.Name] = Choice{t.Type, t.Type}
			continue
		}
		choice, err := c.choose(t)
		if err != nil {
			return nil, err
		}
		choices[t.Name] = choice
	}
	return choices, nil
}

// Uniform gives every matrix of f the type t, or its fallback where the rows are
// no whole blocks of t. Norms, biases and what llama.cpp never converts keep their
// type.
func Uniform(t gguf.Type, f *gguf.File) (map[string]Choice, error) {
	choices := make(map[string]Choice, len(f.Tensors()))
	for _, info := range f.Tensors() {
		choice := Choice{info.Type, info.Type}
		if convertible(info) {
			var err error
			if choice, err = fit(info, t); err != nil {
				return nil, err
			}
		}
		choices[info.Name] = choice
	}
	return choices, nil
}

// blockOf is N of blk.N.name, and -1 for tensors outside the blocks.
func blockOf(name string) int {
	rest, ok := strings.CutPrefix(name, "blk.")
	number, _, found := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if !ok || !found || err != nil {
		return -1
	}
	return n
}

// untouched are parts of names of matrices that llama.cpp never converts:
// norms, gates of experts, small or sensitive tables.
var untouched = []string{
	"_norm.weight", "ffn_gate_inp.weight", "altup", "laurel", "per_layer_model_proj",
	"ssm_conv1d.weight", "shortconv.conv.weight",
	"time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight",
	"time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight",
	"time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight",
	"time_mix_g1.weight", "time_mix_g2.weight",
	"time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight",
	"attn_rel_b.weight", ".position_embd.",
}

// convertible says whether llama.cpp converts a tensor at all: matrices called
// weight, with exceptions.
func convertible(t gguf.TensorInfo) bool {
	matrix := slices.ContainsFunc(t.Dims[1:], func(d int64) bool { return d > 1 })
	if !matrix || !strings.HasSuffix(t.Name, "weight") || t.Name == "position_embd.weight" || t.Name == "token_types.weight" {
		return false
	}
	return !slices.ContainsFunc(untouched, func(part string) bool { return strings.Contains(t.Name, part) })
}

// chooser holds the facts of one model and the counts so far.
type chooser struct {
	Mixture
	falcon   bool
	tied     bool // no output.weight: the embedding is the head
	llama70B bool // eight heads share one attn_v, which is cheap to keep finer
	layers   int
	experts  int
	grouped  uint64 // query heads for each key/value head, in the first block
	values   int    // number of attn_v (or fused) tensors
	value    int    // attn_v tensors so far
	down     int    // ffn_down tensors so far
}

func newChooser(m Mixture, f *gguf.File) *chooser {
	arch, _ := f.String(keyArch)
	layers, _ := f.Uint(arch + ".block_count")
	experts, _ := f.Uint(arch + ".expert_count")
	heads := perLayer(f, arch+".attention.head_count", 0)
	kvHeads := perLayer(f, arch+".attention.head_count_kv", heads)
	_, owned := f.Tensor(headTensor)
	c := &chooser{Mixture: m, falcon: arch == "falcon", tied: !owned, layers: int(layers), experts: int(experts)}
	if kvHeads > 0 {
		c.grouped = heads / kvHeads
	}
	switch arch {
	case "llama":
		c.llama70B = layers == 80 && heads != kvHeads
	case "deci", "qwen2", "olmo":
		c.llama70B = layers == 80
	}
	for _, t := range f.Tensors() {
		for _, part := range []string{"attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"} {
			if strings.Contains(t.Name, part) {
				c.values++
			}
		}
	}
	return c
}

// perLayer reads a count that may be one number or one a layer; of the latter
// the first counts.
func perLayer(f *gguf.File, key string, otherwise uint64) uint64 {
	if n, ok := f.Uint(key); ok {
		return n
	}
	if v, ok := f.Ints(key); ok && len(v) > 0 && v[0] >= 0 {
		return uint64(v[0])
	}
	return otherwise
}

// choose gives the type of a tensor that is converted.
func (c *chooser) choose(t gguf.TensorInfo) (Choice, error) {
	if !c.Base.Quantized() {
		return Choice{c.Base, c.Base}, nil
	}
	return fit(t, c.wanted(t))
}

// fit replaces the wanted type where the rows of t are no whole blocks of it.
func fit(t gguf.TensorInfo, wanted gguf.Type) (Choice, error) {
	if t.RowLen()%wanted.BlockSize() == 0 {
		return Choice{wanted, wanted}, nil
	}
	narrower, ok := fallbacks[wanted]
	if !ok {
		return Choice{}, fmt.Errorf("tensor %s: rows of %d values cannot be stored as %s, whose blocks have %d; choose f16, bf16 or f32",
			t.Name, t.RowLen(), wanted, wanted.BlockSize())
	}
	if t.RowLen()%narrower.BlockSize() != 0 {
		narrower = gguf.F16
	}
	return Choice{narrower, wanted}, nil
}

// fallbacks replace types with blocks of 256 by the nearest with blocks of 32.
var fallbacks = map[gguf.Type]gguf.Type{
	gguf.Q2_K: gguf.IQ4_NL, gguf.Q3_K: gguf.IQ4_NL, gguf.IQ4_XS: gguf.IQ4_NL,
	gguf.Q4_K: gguf.Q5_0, gguf.Q5_K: gguf.Q5_1, gguf.Q6_K: gguf.Q8_0,
}

// wanted is the type of a tensor if its rows allow it.
func (c *chooser) wanted(t gguf.TensorInfo) gguf.Type {
	has := func(part string) bool { return strings.Contains(t.Name, part) }
	switch {
	case t.Name == headTensor, c.tied && t.Name == embeddingTensor:
		return c.head()
	case t.Name == embeddingTensor, t.Name == "per_layer_token_embd.weight":
		return c.Base
	case has("attn_v.weight"):
		c.value++
		return c.attnV(c.value - 1)
	case has("attn_k.weight"):
		if c.experts == 8 {
			return gguf.Q8_0
		}
	case has("attn_q.weight"):
	case has("ffn_down"):
		i := c.down
		if c.experts > 1 {
			i = blockOf(t.Name)
		}
		c.down++
		return c.ffnDown(i)
	case has("attn_output.weight"):
		return c.attnOutput()
	case has("attn_qkv.weight"):
		return c.attnQKV()
	}
	return c.Base
}
