package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/newmodel"
	"github.com/qlora/qlora/internal/perf"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// perfTrainOptions are the flags of test perf --train.
type perfTrainOptions struct {
	on            bool
	rows, length  int
	rank, accum   int
	steps, warmup int
	recompute     string
	precision     string
}

// perfTrainFlags and perfRunFlags name the flags that only mean something with
// --train, and only without it.
var (
	perfTrainFlags = []string{"micro-batch-size", "ctx-size", "rank", "recompute", "grad-accum", "steps", "warmup", "precision"}
	perfRunFlags   = []string{"n-prompt", "n-gen", "repetitions", "no-warmup", "flash-attn"}
)

func (o *perfTrainOptions) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.on, "train", false, "measure training; the flags below are for it")
	flags.IntVar(&o.rows, "micro-batch-size", 4, "rows computed at a time")
	flags.IntVarP(&o.length, "ctx-size", "c", 2048, "tokens of a row")
	flags.IntVar(&o.rank, "rank", 16, "rank of the adapters")
	enumVar(flags, &o.recompute, "recompute", engine.RecomputeAuto,
		[]string{engine.RecomputeNone, engine.RecomputeBlock, engine.RecomputeAuto}, "when to compute activations twice to save memory")
	enumVar(flags, &o.precision, "precision", config.PrecisionAuto, append([]string{config.PrecisionAuto}, config.Precisions...), "type of activations; auto: the best that the device has")
	flags.IntVar(&o.accum, "grad-accum", 1, "micro-batches of a step")
	flags.IntVar(&o.steps, "steps", 6, "optimiser steps, warm-up included")
	flags.IntVar(&o.warmup, "warmup", 2, "first steps that are not measured")
}

func (o *perfTrainOptions) check(cmd *cobra.Command) error {
	foreign, with := perfTrainFlags, "only goes with --train"
	if o.on {
		foreign, with = perfRunFlags, "does not go with --train"
	}
	for _, name := range foreign {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s %s", name, with)
		}
	}
	switch {
	case o.rows < 1 || o.length < 1 || o.rank < 1 || o.accum < 1 || o.steps < 1:
		return errors.New("--micro-batch-size, --ctx-size, --rank, --grad-accum and --steps must be positive")
	case o.warmup < 0 || o.warmup >= o.steps:
		return fmt.Errorf("--warmup %d of --steps %d leaves no step to measure", o.warmup, o.steps)
	}
	return nil
}

// measured is the step to measure and where: the settings of a run by default, but for
// what the flags say, no dropout and a constant learning rate.
func (o *perfOptions) measured(s *ui.Streams) (perf.TrainOptions, error) {
	t, r := o.train, config.DefaultRun()
	r.MicroBatchSize, r.Rank, r.Alpha, r.Recompute, r.Threads = t.rows, t.rank, 2*float64(t.rank), t.recompute, o.threads
	r.Method, r.Target, r.Dropout = engine.MethodQLoRA, "all", 0
	r.Device, r.NGPULayers, r.Precision = o.device, o.gpuLayers, t.precision
	device, err := openTrainDevice(&r, nil, s)
	if err != nil {
		return perf.TrainOptions{}, err
	}
	e := engineOptions(r, device, t.length)
	if e.Budget, err = device.budget(o.vramBudget); err != nil {
		return perf.TrainOptions{}, err
	}
	return perf.TrainOptions{Engine: e, Accum: t.accum, Steps: t.steps, Warmup: t.warmup, LearningRate: 1e-4}, nil
}

// perfTrainSummary ends the JSON output of test perf --train.
type perfTrainSummary struct {
	Results []perf.TrainResult `json:"results"`
}

func (o *perfOptions) runTraining(ctx context.Context, s *ui.Streams) error {
	logLlama(ctx)
	options, err := o.measured(s)
	if err != nil {
		return err
	}
	host, err := o.askedHost()
	if err != nil {
		return err
	}
	if err := o.find(ctx, s, trainFits(options, host)); err != nil {
		return err
	}
	bar := ui.NewProgress(s, int64(len(o.models)*o.train.steps), "measure", "steps")
	defer bar.Finish()
	var results []perf.TrainResult
	for _, model := range o.models {
		bar.Describe(model)
		r, err := measureTraining(ctx, s, model, options, host, func() { bar.Add(1) })
		if err != nil {
			bar.Finish()
			return errors.Join(perfTrainError(ctx, err), o.printSome(s, len(results), func() error { return perf.WriteTraining(s.Out, o.format, results) }))
		}
		if err := s.Event("result", r); err != nil {
			return err
		}
		results = append(results, r)
	}
	bar.Finish()
	if s.JSON {
		return s.Event("summary", perfTrainSummary{Results: results})
	}
	return perf.WriteTraining(s.Out, o.format, results)
}

func measureTraining(ctx context.Context, s *ui.Streams, model string, o perf.TrainOptions, host int64, step func()) (perf.TrainResult, error) {
	fitted, err := fitMeasured(model, o, host, s)
	if err != nil {
		return perf.TrainResult{}, err
	}
	return abandon(ctx, func() (perf.TrainResult, error) { return perf.MeasureTraining(ctx, model, fitted, step) })
}

// trainFits is whether a model that is not there yet can be trained as o says.
func trainFits(o perf.TrainOptions, host int64) fitsFunc {
	return func(p newmodel.Preset, width string) error {
		f, err := headerOf(p, quantTypes[width][0])
		if err != nil {
			return err
		}
		if _, _, err = planMeasured(f, o, host); err != nil {
			return invalidInput(fmt.Errorf("measure training of %s in %s: %w", p.Name, width, err))
		}
		return nil
	}
}

// fitMeasured is o as the model fits the budget.
func fitMeasured(model string, o perf.TrainOptions, host int64, s *ui.Streams) (perf.TrainOptions, error) {
	f, err := gguf.Open(model)
	if err != nil {
		return o, err
	}
	fitted, chosen, err := planMeasured(f, o, host)
	if err != nil {
		return o, errors.Join(fmt.Errorf("prepare %s for training: %w", model, err), f.Close())
	}
	if trained := contextOf(f); trained > 0 && o.Engine.Length > trained {
		s.Warnf("%s was made for %d tokens: rows of %d are measured, but 'qlora train' lowers --ctx-size to that", model, trained, o.Engine.Length)
	}
	chosen.warnFewer(rowChoice{rows: o.Engine.Rows, accum: o.Accum}, s)
	return fitted, f.Close()
}

// trainProgram is what the program takes of the machine's memory beside what the
// engine plans; 75 to 90 MiB were measured.
const trainProgram = 128 << 20

// planMeasured fits o to the budget. The machine's memory holds all of a run on
// the CPU, and on a device the layers that leave it; it may be host bytes, or any
// when that is 0.
func planMeasured(f *gguf.File, o perf.TrainOptions, host int64) (perf.TrainOptions, rowChoice, error) {
	chosen, onDevice := rowChoice{rows: o.Engine.Rows, accum: o.Accum}, o.Engine.Module != nil
	if !onDevice && host > 0 {
		o.Engine.MemoryBudget = max(1, host-trainProgram)
	}
	plan, err := chosen.fit(f, &o.Engine, onDevice)
	switch {
	case err != nil || host == 0:
	case onDevice && plan.Streamed > host:
		err = ui.Fail(ui.ExitDevice, fmt.Errorf("%s of layers stay in host memory, more than --ram-budget allows (%s)", ui.Size(plan.Streamed), ui.Size(host)), "give the GPU more with --vram-budget, or measure a smaller model")
	case !onDevice && plan.Total() > o.Engine.MemoryBudget:
		err = ui.Fail(ui.ExitDevice, fmt.Errorf("it takes %s and %s for the program, more than --ram-budget allows (%s)", plan, ui.Size(trainProgram), ui.Size(host)),
			"take less with a smaller --micro-batch-size, --ctx-size or --rank, or --recompute block", "measure a smaller model, or raise --ram-budget")
	}
	o.Accum = chosen.accum
	return o, chosen, err
}

func perfTrainError(ctx context.Context, err error) error {
	var diverged *train.Diverged
	switch {
	case errors.As(err, &diverged):
		return ui.Fail(ui.ExitDiverged, err, "see whether the model answers sensibly with 'qlora run'")
	case ctx.Err() != nil:
		return err
	}
	return invalidInput(err)
}
