package cli

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

func TestPerfTrainErrors(t *testing.T) {
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		code int
	}{
		{context.Background(), fmt.Errorf("x: %w", &train.Diverged{Step: 2, What: "loss"}), ui.ExitDiverged},
		{context.Background(), fmt.Errorf("prepare x: allocate activations: %w", ggml.ErrNoMemory), ui.ExitDevice},
		{context.Background(), errors.New("prepare x: architecture gemma2 cannot be trained yet"), ui.ExitInvalid},
		{done, fmt.Errorf("x: %w", context.Canceled), ui.ExitInterrupted},
	} {
		if got := exitCode(perfTrainError(c.ctx, c.err)); got != c.code {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.code)
		}
	}
}

// TestPerfMeasuresPlainSteps holds the measured step to what its help says.
func TestPerfMeasuresPlainSteps(t *testing.T) {
	var o perfOptions
	o.threads, o.device, o.gpuLayers = 7, config.DeviceCPU, -1
	o.train = perfTrainOptions{rows: 3, length: 40, rank: 8, accum: 5, steps: 6, warmup: 2, recompute: engine.RecomputeBlock, precision: config.PrecisionAuto}
	streams, _, _ := ui.Test()
	m, err := o.measured(streams)
	if err != nil {
		t.Fatal(err)
	}
	e := m.Engine
	if e.Rows != 3 || e.Length != 40 || e.Threads != 7 || e.Recompute != engine.RecomputeBlock || e.Method != engine.MethodQLoRA || e.From != "" {
		t.Errorf("engine %+v", e)
	}
	if e.LoRA.Rank != 8 || e.LoRA.Alpha != 16 || e.LoRA.Dropout != 0 || e.LoRA.Target != "all" {
		t.Errorf("adapter %+v", e.LoRA)
	}
	if m.Accum != 5 || m.Steps != 6 || m.Warmup != 2 || m.LearningRate != 1e-4 {
		t.Errorf("step %+v", m)
	}
}
