package engine

import (
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// The gradient through weights of every base type is that through the same values in F32: both directions of the product
// read the quantised rows.
func TestGradientsThroughEveryBaseType(t *testing.T) {
	b := parityBatch(parityVocab)
	config := lora.Config{Rank: 4, Alpha: 8, Target: allLinears}
	for _, typ := range ggml.BaseTypes() {
		t.Run(typ.String(), func(t *testing.T) {
			dir := t.TempDir()
			f := openGGUF(t, newWideModel(13).write(t, dir, gguf.Type(typ)))
			plain := openGGUF(t, dequantised(t, f, filepath.Join(dir, "plain.gguf")))
			var grads [2]map[string][]float32
			var losses [2]float64
			for i, base := range []*gguf.File{f, plain} {
				e := newEngine(t, base, Options{Rows: b.Rows, Length: b.Length, LoRA: config})
				values := newWideModel(14) // the same draw for both
				setWeights(t, e, func(name string) []float32 {
					p := e.t.params[e.t.index[name]]
					return values.normal(int64(p.Len), 0, 0.08)
				})
				losses[i] = accumulate(t, e, b, 1)
				grads[i] = gradients(t, e)
			}
			wantNear(t, "loss", losses[0], losses[1], 1e-6)
			sameGradients(t, grads[0], grads[1], 1e-5)
		})
	}
}
