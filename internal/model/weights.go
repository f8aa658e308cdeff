package model

import (
	"errors"
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
)

// Weight is one tensor of the base model.
type Weight struct {
	Name string
	T    *ggml.Tensor
}

// Linear is a weight [in, out] with an optional bias [out].
type Linear struct {
	Weight
	Bias *Weight
}

// Block holds the weights of one decoder block.
type Block struct {
	AttnNorm, FFNNorm          Weight
	QNorm, KNorm               *Weight // only where Params.QKNorm
	Q, K, V, O, Gate, Up, Down Linear
}

// Weights are the tensors of a model, mapped from its file wherever their place allows it.
type Weights struct {
	Embedding  Weight
	Output     Linear // the embedding again when the head is tied
	OutputNorm Weight
	Blocks     []Block
	Copied     int64   // bytes copied: to a device, or because the file has them off a 32-byte boundary
	Stream     *Stream // of the blocks that do not stay on a device; nil when all do

	store *ggml.Store
	late  []lateCopy
}

type lateCopy struct {
	t    *ggml.Tensor
	data []byte
}

// binder looks tensors up, checks them, and remembers which the model uses.
type binder struct {
	f    *gguf.File
	w    *Weights
	host bool // tensors can be mapped where they lie

	headerOnly bool // nothing is to be placed
	used       map[string]bool
	err        error
}

// Bind checks every tensor of f against p and maps it. A tensor that the model does not use is an error: it would change
// what llama.cpp computes. The file must stay open until Close.
// On a device the matrices of that many blocks are streamed.
func Bind(f *gguf.File, p *Params, backend *ggml.Backend, streamed int) (*Weights, error) {
	store, err := ggml.NewStore(len(f.Tensors()) + 1)
	if err != nil {
		return nil, err
	}
	w := &Weights{store: store}
	b := &binder{f: f, w: w, host: backend.OnHost(), used: map[string]bool{"rope_freqs.weight": true}}
	if !b.host && streamed > 0 {
		w.Stream, b.err = newStream(f, p, backend, streamed)
	}
	b.bind(p)
	b.checkAllUsed()
	if b.err == nil {
		b.err = w.copyLate(backend)
	}
	if b.err != nil {
		w.Close()
		return nil, fmt.Errorf("bind the weights of %s: %w", f.Paths()[0], b.err)
	}
	return w, nil
}

// Check is Bind without the weights: it holds every tensor in the header of f against p.
func Check(f *gguf.File, p *Params) error {
	b := &binder{f: f, w: &Weights{}, headerOnly: true, used: map[string]bool{"rope_freqs.weight": true}}
	b.bind(p)
	b.checkAllUsed()
	if b.err != nil {
		return fmt.Errorf("bind the weights of %s: %w", f.Paths()[0], b.err)
	}
	return nil
}

// Close frees the tensors. It may be called twice.
func (w *Weights) Close() error {
	if w.Stream != nil && w.Stream.slots != nil {
		return errors.Join(w.Stream.slots.Close(), w.store.Close())
	}
	return w.store.Close()
}

func (b *binder) bind(p *Params) {
	b.w.Embedding = b.matrix("token_embd", p.Embd, p.Vocab)
	b.w.OutputNorm = b.vector("output_norm.weight", p.Embd)
	b.w.Output = Linear{Weight: b.w.Embedding}
	if !p.Tied {
		b.w.Output = Linear{Weight: b.matrix("output", p.Embd, p.Vocab)}
	}
	for i := range p.Layers {
		b.w.Blocks = append(b.w.Blocks, b.block(p, fmt.Sprintf("blk.%d.", i)))
	}
}

func (b *binder) block(p *Params, prefix string) Block {
	q, kv := p.Heads*p.HeadDim, p.KVHeads*p.HeadDim
	out := Block{
		AttnNorm: b.vector(prefix+"attn_norm.weight", p.Embd),
		FFNNorm:  b.vector(prefix+"ffn_norm.weight", p.Embd),
		Q:        b.linear(prefix+"attn_q", p.Embd, q),
		K:        b.linear(prefix+"attn_k", p.Embd, kv),
		V:        b.linear(prefix+"attn_v", p.Embd, kv),
		O:        b.linear(prefix+"attn_output", q, p.Embd),
		Gate:     b.linear(prefix+"ffn_gate", p.Embd, p.FFN),
		Up:       b.linear(prefix+"ffn_up", p.Embd, p.FFN),
		Down:     b.linear(prefix+"ffn_down", p.FFN, p.Embd),
	}
	if p.QKNorm {
		qn, kn := b.vector(prefix+"attn_q_norm.weight", p.HeadDim), b.vector(prefix+"attn_k_norm.weight", p.HeadDim)
		out.QNorm, out.KNorm = &qn, &kn
	}
	return out
}

func (b *binder) matrix(name string, in, out int64) Weight {
	return b.tensor(name+".weight", false, in, out)
}

func (b *binder) vector(name string, n int64) Weight { return b.tensor(name, true, n) }

func (b *binder) linear(name string, in, out int64) Linear {
	l := Linear{Weight: b.matrix(name, in, out)}
	if _, ok := b.f.Tensor(name + ".bias"); ok {
		bias := b.vector(name+".bias", out)
		l.Bias = &bias
	}
	return l
}

func (b *binder) tensor(name string, onlyF32 bool, dims ...int64) Weight {
	if b.err != nil {
		return Weight{}
	}
	b.used[name] = true
	info, ok := b.f.Tensor(name)
	if !ok {
		b.err = fmt.Errorf("tensor %s is missing", name)
		return Weight{}
	}
	if !sameDims(info.Dims, dims) {
		b.err = fmt.Errorf("tensor %s is %v, want %v", name, info.Dims, dims)
		return Weight{}
	}
	t := ggml.Type(info.Type)
	if !t.IsBase() || onlyF32 && t != ggml.F32 {
		b.err = unsupported("tensor %s has type %s, which cannot be trained on", name, info.Type)
		return Weight{}
	}
	out, err := b.place(info, t)
	b.err = err
	return Weight{Name: name, T: out}
}

// place maps the tensor's bytes, or sets them aside to be copied when their address does not suit ggml.
func (b *binder) place(info gguf.TensorInfo, t ggml.Type) (*ggml.Tensor, error) {
	if b.headerOnly {
		return nil, nil
	}
	data := b.f.Data(info)
	if b.w.Stream.has(info.Name) {
		return b.w.Stream.place(info, t, data)
	}
	if b.host && ggml.Aligned(data) {
		return b.w.store.Map(info.Name, t, data, info.Dims...)
	}
	out := b.w.store.New(info.Name, t, info.Dims...)
	b.w.late = append(b.w.late, lateCopy{t: out, data: data})
	b.w.Copied += int64(len(data))
	return out, nil
}

func (w *Weights) copyLate(backend *ggml.Backend) error {
	if len(w.late) == 0 {
		return nil
	}
	if err := w.store.Alloc(backend); err != nil {
		return err
	}
	for _, c := range w.late {
		if err := c.t.SetBytes(c.data); err != nil {
			return err
		}
	}
	w.late = nil
	return nil
}

func (b *binder) checkAllUsed() {
	for _, t := range b.f.Tensors() {
		if b.err == nil && !b.used[t.Name] {
			b.err = unsupported("tensor %s is no part of the blocks this trainer computes%s", t.Name, expertHint(t.Name))
		}
	}
}

func expertHint(name string) string {
	if strings.Contains(name, "_exps") {
		return " (mixtures of experts cannot be trained yet)"
	}
	return ""
}

// sameDims compares shapes; trailing ones do not count.
func sameDims(got, want []int64) bool {
	for i := range max(len(got), len(want)) {
		g, w := int64(1), int64(1)
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return false
		}
	}
	return true
}
