package perf

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/train"
)

// TrainOptions say which training step is measured. Every position of the
// micro-batches is a random token with loss: no padding, one sample a row.
type TrainOptions struct {
	Engine       engine.Options
	Accum        int     // micro-batches of a step
	Steps        int     // optimiser steps, warm-up included
	Warmup       int     // first steps that are not measured, fewer than Steps
	LearningRate float64 // constant

	// DeviceMemory tells the bytes in use on the device; it is asked after each
	// step. Nil: what NVML counts for this process.
	DeviceMemory func() (uint64, error)
}

func (o TrainOptions) check() error {
	switch {
	case o.Accum < 1 || o.Steps < 1:
		return fmt.Errorf("%d steps of %d micro-batches: at least 1 of each is needed", o.Steps, o.Accum)
	case o.Warmup < 0 || o.Warmup >= o.Steps:
		return fmt.Errorf("a warm-up of %d of %d steps leaves none to measure", o.Warmup, o.Steps)
	}
	return nil
}

// TrainResult is what was measured of training one model.
type TrainResult struct {
	Model         string  `json:"model"` // path
	Device        string  `json:"device"`
	Activation    string  `json:"activation"` // type of activations
	Threads       int     `json:"threads"`
	Params        int64   `json:"params"` // of the model
	Rank          int     `json:"rank"`   // 0 under method full
	TrainedValues int64   `json:"trained_values"`
	Rows          int     `json:"rows"`       // of a micro-batch
	RowTokens     int     `json:"row_tokens"` // of a row
	Accum         int     `json:"grad_accum"`
	TokensPerStep int     `json:"tokens_per_step"`
	Recompute     string  `json:"recompute"` // after auto has chosen
	SetupSeconds  float64 `json:"setup_seconds"`
	StepSeconds   Spread  `json:"step_seconds"`
	TokensPerSec  Spread  `json:"tokens_per_second"`
	Loss          float64 `json:"loss"` // of the last step, nats per token

	// The engine's plan, by arithmetic.
	WeightBytes     int64 `json:"weight_bytes"`
	TrainedBytes    int64 `json:"trained_bytes"`
	ActivationBytes int64 `json:"activation_bytes"`
	WorkspaceBytes  int64 `json:"workspace_bytes"`
	RuntimeBytes    int64 `json:"runtime_bytes"`  // what CUDA takes for itself
	SlotBytes       int64 `json:"slot_bytes"`     // places that streamed layers pass through
	StreamedBytes   int64 `json:"streamed_bytes"` // their weights, in host memory
	Layers          int   `json:"layers"`
	ResidentLayers  int   `json:"resident_layers"` // those whose weights stay on the device
	TotalBytes      int64 `json:"total_bytes"`

	PeakRSSBytes *uint64 `json:"peak_rss_bytes"`  // null where the system does not tell
	PeakGPUBytes *uint64 `json:"peak_vram_bytes"` // null without a GPU
}

// Spread is the middle and the ends of a set of measurements.
type Spread struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"` // in the order of measurement
}

// newSpread takes at least one value.
func newSpread(values []float64) Spread {
	sorted, n := slices.Sorted(slices.Values(values)), len(values)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1], Rounds: values}
}

// MeasureTraining builds the engine on the model at path and runs o.Steps
// optimiser steps. progress, which may be nil, is called after each. A loss that
// is no number is a *train.Diverged.
func MeasureTraining(ctx context.Context, path string, o TrainOptions, progress func()) (r TrainResult, err error) {
	if err := o.check(); err != nil {
		return r, err
	}
	if o.Engine.Threads == 0 {
		o.Engine.Threads = runtime.NumCPU()
	}
	memory := watchMemory()
	memory.device = o.DeviceMemory
	defer func() { err = errors.Join(err, memory.close()) }()
	start := time.Now()
	f, err := gguf.Open(path)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	e, err := engine.New(f, o.Engine)
	if err != nil {
		return r, fmt.Errorf("prepare %s for training: %w", path, err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	r = describeTraining(path, f, e, o)
	r.SetupSeconds = time.Since(start).Seconds()
	b := trainBench{e: e, o: o, memory: memory, progress: progress}
	if err := b.run(ctx, int(e.Params().Vocab), &r); err != nil {
		return r, fmt.Errorf("measure training of %s: %w", path, err)
	}
	r.PeakRSSBytes, r.PeakGPUBytes = memory.peaks()
	return r, nil
}

func describeTraining(path string, f *gguf.File, e *engine.Engine, o TrainOptions) TrainResult {
	plan, n := e.Plan(), o.Engine
	r := TrainResult{
		Model: path, Device: "cpu", Activation: n.Activation.String(), Threads: n.Threads,
		TrainedValues: plan.Trained / 16, Rows: n.Rows, RowTokens: n.Length, Accum: o.Accum,
		TokensPerStep: o.Accum * n.Rows * n.Length, Recompute: plan.Recompute,
		WeightBytes: plan.Weights, TrainedBytes: plan.Trained, ActivationBytes: plan.Kept,
		WorkspaceBytes: plan.Workspace, RuntimeBytes: plan.Runtime, SlotBytes: plan.Slots, StreamedBytes: plan.Streamed,
		Layers: plan.Layers, ResidentLayers: plan.Resident, TotalBytes: plan.Total(),
	}
	for _, t := range f.Tensors() {
		r.Params += t.Elements()
	}
	if n.Method == engine.MethodQLoRA {
		r.Rank = n.LoRA.Rank
	}
	if n.Module != nil {
		r.Device = n.Module.Devices()[n.Device].Description
	}
	return r
}

// trainBench runs the steps.
type trainBench struct {
	e        *engine.Engine
	o        TrainOptions
	memory   *memoryWatch
	progress func()
}

func (b *trainBench) run(ctx context.Context, vocab int, r *TrainResult) error {
	batches := make([]*dataset.Batch, b.o.Accum)
	for i := range batches {
		batches[i] = randomBatch(b.o.Engine.Rows, b.o.Engine.Length, vocab, uint64(i))
	}
	var seconds, rates []float64
	for step := 1; step <= b.o.Steps; step++ {
		start := time.Now()
		loss, err := b.step(ctx, step, batches)
		if err != nil {
			return err
		}
		took := time.Since(start).Seconds()
		if step > b.o.Warmup {
			seconds, rates = append(seconds, took), append(rates, float64(r.TokensPerStep)/took)
		}
		r.Loss = loss
		b.memory.sample()
		if b.progress != nil {
			b.progress()
		}
	}
	r.StepSeconds, r.TokensPerSec = newSpread(seconds), newSpread(rates)
	return nil
}

// step is one optimiser step; it returns the loss per token. Reading the norm of
// the gradient waits for the device.
func (b *trainBench) step(ctx context.Context, t int, batches []*dataset.Batch) (float64, error) {
	tokens := float64(len(batches) * batches[0].Trained)
	sum := 0.0
	for i, batch := range batches {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		loss, err := b.e.Accumulate(batch, float32(1/tokens), uint64(t*len(batches)+i))
		if err != nil {
			return 0, err
		}
		sum += loss
	}
	scale := b.e.LossScale()
	norm, err := b.e.Step(t, b.o.LearningRate, 1)
	if err != nil {
		return 0, err
	}
	switch {
	case !finite(sum):
		return 0, &train.Diverged{Step: t, What: "loss", Value: sum / tokens}
	case !finite(norm) && b.e.LossScale() >= scale: // else the next step has a smaller scale
		return 0, &train.Diverged{Step: t, What: "gradient norm", Value: norm}
	}
	return sum / tokens, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// randomBatch is rows of random tokens, each to be predicted from those before it
// in its row; the last of a row predicts one more random token.
func randomBatch(rows, length, vocab int, seed uint64) *dataset.Batch {
	rng := rand.New(rand.NewPCG(seed, 3))
	n := rows * length
	b := &dataset.Batch{Rows: rows, Length: length, Trained: n,
		Tokens: make([]int32, n), Targets: make([]int32, n), Positions: make([]int32, n), Segments: make([]int32, n)}
	for i := range n {
		b.Tokens[i], b.Positions[i], b.Segments[i] = int32(rng.IntN(vocab)), int32(i%length), int32(i/length*length)
	}
	for i := range n {
		b.Targets[i] = int32(rng.IntN(vocab))
		if i%length < length-1 {
			b.Targets[i] = b.Tokens[i+1]
		}
	}
	return b
}
