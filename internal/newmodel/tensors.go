package newmodel

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/qlora/qlora/internal/gguf"
)

// weight is a tensor to write and how its values begin: normal with standard
// deviation std or, where that is zero, all equal to constant.
type weight struct {
	info     gguf.TensorInfo
	std      float64
	constant float32
}

// Init is how weights begin. Each matrix is normal with standard deviation Std;
// those that write to the residual stream (attn_output, ffn_down) are divided by
// sqrt(2 layers), so that its variance does not grow with depth (GPT-2).
type Init struct {
	Seed      uint64
	Std       float64 // of all matrices but those below
	Attention float64 // of attn_q and attn_k
	Embd      float64 // of the token embedding
}

// DefaultInit suits narrow models. For a width of 256, 0.05 is close to
// 1/sqrt(width); queries and keys begin wider still, since near-uniform attention
// takes hundreds of steps to learn to look anywhere.
func DefaultInit() Init { return Init{Seed: 1, Std: 0.05, Attention: 0.1, Embd: 0.05} }

// Check refuses deviations that no training would survive.
func (i Init) Check() error {
	for name, std := range map[string]float64{"init-std": i.Std, "init-attention-std": i.Attention, "init-embd-std": i.Embd} {
		if !(std > 0) || std > 10 {
			return fmt.Errorf("%s=%g is out of range 0 to 10", name, std)
		}
	}
	return nil
}

// weights lists the tensors of a model in file order. Dimensions are in ggml's
// order: the input width of a linear first, as it is contiguous.
func weights(s Shape, vocab int, init Init) []weight {
	embd, ffn, kv := int64(s.Embd), int64(s.FFN), int64(s.HeadDim()*s.KVHeads)
	residual := init.Std / math.Sqrt(2*float64(s.Layers))
	list := []weight{matrix("token_embd.weight", embd, int64(vocab), init.Embd)}
	for b := range s.Layers {
		name := func(part string) string { return fmt.Sprintf("blk.%d.%s.weight", b, part) }
		list = append(list,
			norm(name("attn_norm"), embd),
			matrix(name("attn_q"), embd, embd, init.Attention),
			matrix(name("attn_k"), embd, kv, init.Attention),
			matrix(name("attn_v"), embd, kv, init.Std),
			matrix(name("attn_output"), embd, embd, residual),
			norm(name("ffn_norm"), embd),
			matrix(name("ffn_gate"), embd, ffn, init.Std),
			matrix(name("ffn_up"), embd, ffn, init.Std),
			matrix(name("ffn_down"), ffn, embd, residual),
		)
	}
	list = append(list, norm("output_norm.weight", embd))
	if !s.Tied {
		list = append(list, matrix("output.weight", embd, int64(vocab), init.Std))
	}
	return list
}

func matrix(name string, in, out int64, std float64) weight {
	return weight{gguf.TensorInfo{Name: name, Dims: []int64{in, out}, Type: gguf.F32}, std, 0}
}

func norm(name string, width int64) weight {
	return weight{gguf.TensorInfo{Name: name, Dims: []int64{width}, Type: gguf.F32}, 0, 1}
}

func bias(name string, width int64) weight {
	return weight{gguf.TensorInfo{Name: name, Dims: []int64{width}, Type: gguf.F32}, 0, 0}
}

// values draws a tensor as little-endian F32. The stream is keyed by seed and
// name, so that one tensor does not depend on what else the model holds.
func (w weight) values(seed uint64) []byte {
	h := fnv.New64a()
	h.Write([]byte(w.info.Name))
	rng := rand.New(rand.NewPCG(seed, h.Sum64()))
	out := make([]byte, 0, 4*w.info.Elements())
	for range w.info.Elements() {
		v := w.constant
		if w.std > 0 {
			v = float32(rng.NormFloat64() * w.std)
		}
		bits := math.Float32bits(v)
		out = append(out, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	}
	return out
}
