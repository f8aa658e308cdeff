package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// Params are the hyper-parameters of a decoder of equal blocks: norm, grouped-query attention with rotary positions,
// residual, norm, SwiGLU, residual.
type Params struct {
	Arch                              string
	Embd, FFN, Layers, Vocab          int64
	Heads, KVHeads, HeadDim, CtxTrain int64
	Eps                               float32
	Rope                              Rope
	Tied                              bool // the head is the embedding
	QKNorm                            bool // q and k are normalised head by head before the rotation
}

// Architectures are the values of general.architecture that train. Mistral files say llama.
func Architectures() []string { return []string{"llama", "qwen2", "qwen3"} }

// UnsupportedError names what in a file this trainer cannot compute.
type UnsupportedError struct{ What string }

func (e *UnsupportedError) Error() string { return e.What }

func unsupported(format string, args ...any) error {
	return &UnsupportedError{What: fmt.Sprintf(format, args...)}
}

// Read takes the hyper-parameters from f. The keys are those of the GGUF specification (ggml/docs/gguf.md).
func Read(f *gguf.File) (*Params, error) {
	arch, ok := f.String("general.architecture")
	if !ok {
		return nil, fmt.Errorf("read %s: no general.architecture", f.Paths()[0])
	}
	if !slices.Contains(Architectures(), arch) {
		return nil, unsupported("architecture %s cannot be trained yet; these can: %s", arch, strings.Join(Architectures(), ", "))
	}
	k := &keys{f: f, arch: arch}
	p := &Params{Arch: arch, QKNorm: arch == "qwen3"}
	p.Embd, p.FFN, p.Layers = k.need("embedding_length"), k.need("feed_forward_length"), k.need("block_count")
	p.Heads = k.need("attention.head_count")
	p.KVHeads = k.or("attention.head_count_kv", p.Heads)
	p.CtxTrain = k.need("context_length")
	p.Eps = float32(k.needFloat("attention.layer_norm_rms_epsilon"))
	if k.err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Paths()[0], k.err)
	}
	if err := p.shape(f, k); err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Paths()[0], err)
	}
	if err := k.refuse(); err != nil {
		return nil, err
	}
	return p, p.readRope(f, k)
}

// shape checks the counts against each other and against the embedding.
func (p *Params) shape(f *gguf.File, k *keys) error {
	const limit = 1 << 24 // far above any model, low enough that no product of two overflows
	for _, n := range []int64{p.Embd, p.FFN, p.Layers, p.Heads, p.KVHeads, p.CtxTrain} {
		if n < 1 || n > limit {
			return fmt.Errorf("a count of %d in the metadata is out of range", n)
		}
	}
	p.HeadDim = k.or("attention.key_length", p.Embd/p.Heads)
	if v := k.or("attention.value_length", p.HeadDim); v != p.HeadDim {
		return unsupported("attention.value_length %d differs from key length %d", v, p.HeadDim)
	}
	if p.Heads%p.KVHeads != 0 || p.HeadDim < 1 || p.HeadDim > 1<<16 {
		return fmt.Errorf("%d heads of %d over %d kv heads is no grouped-query shape", p.Heads, p.HeadDim, p.KVHeads)
	}
	embd, ok := f.Tensor("token_embd.weight")
	if !ok || len(embd.Dims) != 2 || embd.Dims[0] != p.Embd {
		return fmt.Errorf("token_embd.weight is missing or not [%d, vocabulary]", p.Embd)
	}
	p.Vocab = embd.Dims[1]
	_, untied := f.Tensor("output.weight")
	p.Tied = !untied
	return nil
}

// keys reads metadata below the architecture's name and remembers the first failure.
type keys struct {
	f    *gguf.File
	arch string
	err  error
}

func (k *keys) need(name string) int64 {
	v, ok := k.f.Uint(k.arch + "." + name)
	if (!ok || v > 1<<40) && k.err == nil {
		k.err = fmt.Errorf("metadata key %s.%s is missing or no single count", k.arch, name)
	}
	return int64(v)
}

func (k *keys) needFloat(name string) float64 {
	v, ok := k.f.Float(k.arch + "." + name)
	if !ok && k.err == nil {
		k.err = fmt.Errorf("metadata key %s.%s is missing or no number", k.arch, name)
	}
	return v
}

func (k *keys) or(name string, fallback int64) int64 {
	if v, ok := k.f.Uint(k.arch + "." + name); ok {
		return int64(min(v, 1<<40))
	}
	return fallback
}

func (k *keys) floatOr(name string, fallback float64) float64 {
	if v, ok := k.f.Float(k.arch + "." + name); ok {
		return v
	}
	return fallback
}

// refuse names settings that change the arithmetic in a way that is not implemented.
func (k *keys) refuse() error {
	if n := k.or("expert_count", 0); n > 0 {
		return unsupported("mixtures of experts cannot be trained yet (%s.expert_count is %d)", k.arch, n)
	}
	for _, name := range []string{"attention.clamp_kqv", "attention.max_alibi_bias", "attention.scale", "attn_logit_softcapping",
		"final_logit_softcapping", "logit_scale", "residual_scale", "embedding_scale"} {
		if v, ok := k.f.Float(k.arch + "." + name); ok && v != 0 {
			return unsupported("%s.%s is %g, which this trainer does not compute", k.arch, name, v)
		}
	}
	return nil
}
