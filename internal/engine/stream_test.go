package engine

import (
	"slices"
	"testing"

	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/model"
)

// Streaming moves weights and nothing else: losses, gradients and a step are the same to the byte, however many blocks.
func TestStreamedBlocksGiveTheSameBytes(t *testing.T) {
	if testModule(t) == nil {
		t.Skip("layers are streamed to a device: set QLORA_CUDA_LIBRARY to test it")
	}
	path, _ := embeddedModel(t, t.TempDir())
	b, _ := embeddedBatch(t, path)
	var want []float32
	for streamed := range 6 {
		o := Options{Rows: b.Rows, Length: b.Length, Resident: 6 - streamed, Recompute: RecomputeBlock, LoRA: lora.Config{Rank: 4, Alpha: 8, Target: "all"}}
		e := newEngine(t, openGGUF(t, path), o)
		for step := 1; step <= 3; step++ {
			accumulate(t, e, b, 1/float32(b.Trained))
			if _, err := e.Step(step, 1e-2, 1); err != nil {
				t.Fatal(err)
			}
		}
		s, err := e.State()
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = s.Weights
		}
		if !slices.Equal(s.Weights, want) {
			t.Errorf("%d streamed blocks: the adapters differ from those of a run without streaming", streamed)
		}
	}
}

func TestStreamedBlocksAreSpreadEvenly(t *testing.T) {
	for _, c := range []struct {
		n, streamed int
		want        []int
	}{{4, 0, nil}, {4, 4, []int{0, 1, 2, 3}}, {8, 2, []int{3, 7}}, {5, 3, []int{1, 3, 4}}} {
		if got := model.Streamed(c.n, c.streamed); !slices.Equal(got, c.want) {
			t.Errorf("%d of %d: %v, want %v", c.streamed, c.n, got, c.want)
		}
	}
}
