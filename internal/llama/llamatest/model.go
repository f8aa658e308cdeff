// Package llamatest makes tiny GGUF models and LoRA adapters with random
// weights for tests: real files that libllama loads in a millisecond.
package llamatest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

// Options shapes a tiny model. Zero values take the default in brackets.
type Options struct {
	Arch         string // [llama]
	Embd         int    // width of the residual stream [32]
	FF           int    // width of the gated MLP [2*Embd]
	Heads        int    // [4]
	KVHeads      int    // [2]
	Layers       int    // [2]
	Ctx          int    // trained context length [256]
	Seed         uint64
	ChatTemplate string // tokenizer.chat_template; "" leaves it out
	NoFIM        bool   // name the fill-in-the-middle tokens so that nothing recognises them
}

// ChatML is a minimal chat template in the style of Qwen and SmolLM2.
const ChatML = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

func (o Options) withDefaults() Options {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.Embd, 32)
	set(&o.FF, 2*o.Embd)
	set(&o.Heads, 4)
	set(&o.KVHeads, 2)
	set(&o.Layers, 2)
	set(&o.Ctx, 256)
	if o.Arch == "" {
		o.Arch = "llama"
	}
	return o
}

// shape is a matrix that maps in values to out values.
type shape struct{ in, out int }

// linears returns the seven linears of a block by their GGUF names.
func (o Options) linears() map[string]shape {
	kv := o.Embd / o.Heads * o.KVHeads
	return map[string]shape{
		"attn_q": {o.Embd, o.Embd}, "attn_k": {o.Embd, kv}, "attn_v": {o.Embd, kv}, "attn_output": {o.Embd, o.Embd},
		"ffn_gate": {o.Embd, o.FF}, "ffn_up": {o.Embd, o.FF}, "ffn_down": {o.FF, o.Embd},
	}
}

// linearNames fixes an order, so that a seed always makes the same file.
var linearNames = []string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}

// Model writes a tiny model to path.
func Model(t testing.TB, path string, o Options) {
	t.Helper()
	modelFile(o.withDefaults()).write(t, path)
}

func modelFile(o Options) *file {
	f := &file{}
	vocab := vocabulary(o)
	metadata(f, o, len(vocab.tokens))
	vocab.describe(f, o)
	rng := rand.New(rand.NewPCG(o.Seed, 1))
	f.tensors = append(f.tensors,
		matrix(rng, "token_embd.weight", shape{o.Embd, len(vocab.tokens)}, 1),
		ones("output_norm.weight", o.Embd),
		matrix(rng, "output.weight", shape{o.Embd, len(vocab.tokens)}, 1))
	for layer := range o.Layers {
		block := fmt.Sprintf("blk.%d.", layer)
		f.tensors = append(f.tensors, ones(block+"attn_norm.weight", o.Embd), ones(block+"ffn_norm.weight", o.Embd))
		for _, name := range linearNames {
			f.tensors = append(f.tensors, matrix(rng, block+name+".weight", o.linears()[name], 1))
		}
	}
	return f
}

func metadata(f *file, o Options, vocab int) {
	f.set("general.architecture", o.Arch)
	f.set("general.name", "tiny test model")
	key := func(name string) string { return o.Arch + "." + name }
	f.set(key("context_length"), uint32(o.Ctx))
	f.set(key("embedding_length"), uint32(o.Embd))
	f.set(key("block_count"), uint32(o.Layers))
	f.set(key("feed_forward_length"), uint32(o.FF))
	f.set(key("attention.head_count"), uint32(o.Heads))
	f.set(key("attention.head_count_kv"), uint32(o.KVHeads))
	f.set(key("attention.layer_norm_rms_epsilon"), float32(1e-5))
	f.set(key("rope.dimension_count"), uint32(o.Embd/o.Heads))
	f.set(key("rope.freq_base"), float32(10000))
	f.set(key("vocab_size"), uint32(vocab))
}

// matrix is random with a variance that keeps activations near one, times
// gain squared.
func matrix(rng *rand.Rand, name string, s shape, gain float64) tensor {
	data := make([]float32, s.in*s.out)
	for i := range data {
		data[i] = float32(gain * rng.NormFloat64() / math.Sqrt(float64(s.in)))
	}
	return tensor{name: name, dims: []int{s.in, s.out}, data: data}
}

func ones(name string, n int) tensor {
	data := make([]float32, n)
	for i := range data {
		data[i] = 1
	}
	return tensor{name: name, dims: []int{n}, data: data}
}

// Cut writes the first share of a file to another: what a broken download
// leaves.
func Cut(t testing.TB, from, to string, share float64) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data[:int(share*float64(len(data)))], 0o644)
	}
	if err != nil {
		t.Fatalf("cut %s: %v", from, err)
	}
}
