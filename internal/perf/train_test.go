package perf

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/train"
)

// trainOptions is a step of two micro-batches of 2 x 16 tokens.
func trainOptions() TrainOptions {
	return TrainOptions{Accum: 2, Steps: 4, Warmup: 1, LearningRate: 1e-4, Engine: engine.Options{
		Method: engine.MethodQLoRA, Rows: 2, Length: 16, Threads: 1, Recompute: engine.RecomputeBlock,
		LoRA: lora.Config{Rank: 4, Alpha: 8, Target: "all"}, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Seed: 1,
	}}
}

func TestMeasureTraining(t *testing.T) {
	path := tiny(t)
	steps, asked := 0, 0
	o := trainOptions()
	o.DeviceMemory = func() (uint64, error) {
		asked++
		return uint64(1000 - asked), nil
	}
	r, err := MeasureTraining(context.Background(), path, o, func() { steps++ })
	if err != nil {
		t.Fatal(err)
	}
	if steps != 4 || r.Model != path || r.Device != "cpu" || r.Activation != "f32" || r.Threads != 1 || r.Rank != 4 || r.Recompute != "block" {
		t.Errorf("%d steps: %+v", steps, r)
	}
	if r.TokensPerStep != 64 || r.TotalBytes != r.WeightBytes+r.TrainedBytes+r.ActivationBytes+r.WorkspaceBytes || r.TrainedBytes != 16*r.TrainedValues {
		t.Errorf("sizes: %+v", r)
	}
	s, v := r.StepSeconds, r.TokensPerSec
	if len(s.Rounds) != 3 || len(v.Rounds) != 3 {
		t.Errorf("%d steps were measured, want 3: warm-up does not count", len(s.Rounds))
	}
	if !(0 < s.Min && s.Min <= s.Median && s.Median <= s.Max) || math.Abs(v.Min*s.Max/64-1) > 1e-9 || math.Abs(v.Max*s.Min/64-1) > 1e-9 {
		t.Errorf("speed: %+v, %+v", s, v)
	}
	if r.PeakGPUBytes == nil || *r.PeakGPUBytes != 999 || asked < 4 {
		t.Errorf("device memory was asked %d times: %v", asked, r.PeakGPUBytes)
	}
}

// TestTrainingStepIsTheEngines repeats the measured steps by hand.
func TestTrainingStepIsTheEngines(t *testing.T) {
	path := tiny(t)
	o := trainOptions()
	r, err := MeasureTraining(context.Background(), path, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e, err := engine.New(f, o.Engine)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	loss := 0.0
	for step := 1; step <= 4; step++ {
		loss = 0
		for i := range uint64(2) {
			l, err := e.Accumulate(randomBatch(2, 16, int(e.Params().Vocab), i), 1.0/64, 1)
			if err != nil {
				t.Fatal(err)
			}
			loss += l / 64
		}
		if _, err := e.Step(step, o.LearningRate, 1); err != nil {
			t.Fatal(err)
		}
	}
	if math.Abs(loss-r.Loss) > 1e-5 {
		t.Errorf("loss %.6f, by hand %.6f", r.Loss, loss)
	}
	o.Steps, o.LearningRate = 30, 1e-2
	longer, err := MeasureTraining(context.Background(), path, o, nil)
	if err != nil || longer.Loss > r.Loss-0.1 {
		t.Errorf("after 30 faster steps the loss is %.3f (%.3f after 4), %v", longer.Loss, r.Loss, err)
	}
}

func TestRandomBatchTrainsEveryToken(t *testing.T) {
	b := randomBatch(2, 8, 50, 1)
	for i := range 16 {
		if b.Positions[i] != int32(i%8) || b.Segments[i] != int32(i/8*8) || b.Targets[i] < 0 || b.Targets[i] >= 50 || b.Tokens[i] < 0 || b.Tokens[i] >= 50 {
			t.Fatalf("position %d: %+v", i, b)
		}
		if i%8 < 7 && b.Targets[i] != b.Tokens[i+1] {
			t.Errorf("position %d predicts %d, the next token is %d", i, b.Targets[i], b.Tokens[i+1])
		}
	}
	if b.Trained != 16 || b.Rows != 2 || b.Length != 8 {
		t.Errorf("%+v", b)
	}
}

func TestMeasureTrainingRefuses(t *testing.T) {
	path := tiny(t)
	for name, change := range map[string]func(*TrainOptions){
		"no steps":         func(o *TrainOptions) { o.Steps = 0 },
		"no micro-batches": func(o *TrainOptions) { o.Accum = 0 },
		"all warm-up":      func(o *TrainOptions) { o.Warmup = 4 },
		"no rank":          func(o *TrainOptions) { o.Engine.LoRA.Rank = 0 },
		"activations":      func(o *TrainOptions) { o.Engine.Activation = ggml.F16 },
	} {
		o := trainOptions()
		change(&o)
		if _, err := MeasureTraining(context.Background(), path, o, nil); err == nil {
			t.Errorf("%s was measured", name)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := MeasureTraining(ctx, path, trainOptions(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	o := trainOptions()
	o.LearningRate = 1e30
	var diverged *train.Diverged
	if _, err := MeasureTraining(context.Background(), path, o, nil); !errors.As(err, &diverged) || diverged.Step != 2 {
		t.Errorf("a step of 1e30: %v", err)
	}
}

func TestSpread(t *testing.T) {
	for median, rounds := range map[float64][]float64{4: {4, 1, 9}, 3: {4, 1, 9, 2}} {
		if s := newSpread(rounds); s.Median != median || s.Min != 1 || s.Max != 9 || s.Rounds[1] != 1 {
			t.Errorf("%+v", s)
		}
	}
}

func TestWriteTraining(t *testing.T) {
	gpu := uint64(2 << 30)
	results := []TrainResult{
		{Model: "dir/a.gguf", Device: "NVIDIA H100", Rows: 4, RowTokens: 2048, Accum: 1, Rank: 16, Recompute: "block",
			StepSeconds: newSpread([]float64{0.5, 0.4, 0.6}), TokensPerSec: newSpread([]float64{16384, 13653, 20480}), Loss: 12.5, TotalBytes: 3 << 30, PeakGPUBytes: &gpu},
		{Model: "b.gguf", Device: "cpu"},
	}
	var md, table, lines bytes.Buffer
	if err := errors.Join(WriteTraining(&md, "md", results), WriteTraining(&table, "csv", results), WriteTraining(&lines, "jsonl", results)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| a.gguf | NVIDIA H100 | 4 x 2048 | 1 | 16 | block | 16384.0 | 13653.0 | 20480.0 | 500.0 | 12.500 | 3.0 GiB | unknown | 2.0 GiB |", "| none |"} {
		if !strings.Contains(md.String(), want) {
			t.Errorf("no %q in\n%s", want, md.String())
		}
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 3 || rows[1][12] != "0.5" || rows[1][19] != "3221225472" || rows[2][21] != "" {
		t.Errorf("csv: %v, %v", rows, err)
	}
	var first TrainResult
	if err := json.Unmarshal([]byte(strings.SplitN(lines.String(), "\n", 2)[0]), &first); err != nil || first.TokensPerSec.Max != 20480 {
		t.Errorf("jsonl: %+v, %v", first, err)
	}
}

func TestMeasureTrainingNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.gguf")
	llamatest.Model(t, path, llamatest.Options{Ctx: 64, Arch: "gemma2"})
	if _, err := MeasureTraining(context.Background(), path, trainOptions(), nil); err == nil || !strings.Contains(err.Error(), "other.gguf") || !strings.Contains(err.Error(), "gemma2") {
		t.Errorf("an architecture that cannot be trained: %v", err)
	}
}
