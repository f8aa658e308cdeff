package engine

import "testing"

// The head works through the trained positions in chunks, the last of them short; the chunk must not show.
func TestHeadInChunks(t *testing.T) {
	for _, method := range []string{MethodQLoRA, MethodFull} {
		t.Run(method, func(t *testing.T) {
			g := openGolden(t, "llama")
			b := g.batch(0)
			run := func(chunk int64) ([]float32, float64, map[string][]float32) {
				o := g.options(Options{Method: method, Rows: b.Rows, Length: b.Length, headChunk: chunk})
				e := newEngine(t, openModel(t, "llama"), o)
				if method == MethodQLoRA {
					setWeights(t, e, g.tensor)
				}
				logits, err := e.Logits(b)
				if err != nil {
					t.Fatal(err)
				}
				return logits, accumulate(t, e, b, 1), gradients(t, e)
			}
			logits, loss, whole := run(int64(b.Rows * b.Length))
			for _, chunk := range []int64{1, 7, 24} {
				gotLogits, gotLoss, got := run(chunk)
				wantClose(t, "logits", gotLogits, logits, 1e-6)
				wantNear(t, "loss", gotLoss, loss, 1e-6)
				sameGradients(t, got, whole, 1e-5)
			}
		})
	}
}
