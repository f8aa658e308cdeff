package engine

import (
	"fmt"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/model"
)

// weightSizes are the bytes of the base weights, so that a plan can say where they lie.
type weightSizes struct {
	all    int64   // of every tensor
	pieces []int64 // of each block, what can be streamed, as it lies in a slot
}

func (e *Engine) weightSizes(f *gguf.File) weightSizes {
	w := weightSizes{}
	for _, t := range f.Tensors() {
		switch {
		case t.Name == "rope_freqs.weight":
		case e.host:
			w.all += t.Size
		default:
			w.all += ggml.PieceBytes(t.Size)
		}
	}
	if !e.host {
		w.all += e.biasBytes(f)
	}
	for i := range int(e.p.Layers) {
		w.pieces = append(w.pieces, model.PieceBytes(model.StreamedMatrices(f, i)))
	}
	return w
}

// plan puts the weights of that many blocks into pinned memory of the host and all others on the device.
func (w weightSizes) plan(p *Plan, streamed int) {
	p.Resident, p.Streamed, p.Slots = p.Layers-streamed, 0, 0
	for _, i := range model.Streamed(p.Layers, streamed) {
		p.Streamed += w.pieces[i]
		p.Slots = max(p.Slots, 2*w.pieces[i])
	}
	p.Weights = w.all - p.Streamed
}

// biasBytes is what the biases take that bindBlocks lays side by side on a device.
func (e *Engine) biasBytes(f *gguf.File) (n int64) {
	if e.o.Method == MethodFull {
		return 0
	}
	for i := range e.p.Layers {
		for _, names := range [groups][]string{{"attn_q", "attn_k", "attn_v"}, {"attn_output"}, {"ffn_gate", "ffn_up"}, {"ffn_down"}} {
			width, biased := int64(0), false
			for _, name := range names {
				linear := fmt.Sprintf("blk.%d.%s", i, name)
				w, _ := f.Tensor(linear + ".weight")
				_, ok := f.Tensor(linear + ".bias")
				width, biased = width+w.Rows(), biased || ok
			}
			if biased {
				n += ggml.PieceBytes(4 * width)
			}
		}
	}
	return n
}
