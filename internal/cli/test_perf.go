package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/perf"
	"github.com/qlora/qlora/internal/ui"
)

const perfLong = `Perf measures how fast models run here: tokens a second when reading a prompt
and when generating, the time to load, and the memory taken at the most. Each
test is repeated after a round that is not counted. GPU memory is what NVML
counts for this process; without a GPU there is none.

--models names sizes instead of files: a GGUF file of that shape in --models-dir
is taken, or else one with random weights is written there and kept, which runs
as fast as a trained one and says nothing. --quant auto takes 8 bits where all of
the model fits the memory, else 4. As many layers go to the GPU as fit into
--vram-budget; the rest must fit into --ram-budget, or nothing is measured (exit
5). -ngl overrides that.

With --train, perf measures training instead: optimiser steps of adapters on all
linears, on random tokens that all have loss and fill their rows. The speed is the
median of the steps after the warm-up, with the slowest and the fastest; memory is
what the engine plans and what is taken. A model that does not fit is not measured
(exit 5): on the CPU it must fit into --ram-budget, where that is given. "qlora init
--like" writes a model to measure on.

-o benchfmt is the format of Go's benchmarks, for benchstat: a line for each
measured round, so give -r 10 (with --train: --steps 12) for it to see a
difference. Loading is measured once.`

const perfExample = `  qlora test perf -m model.gguf
  qlora test perf -m base.gguf,merged.gguf -p 512 -n 128 -r 5 -t 2
  qlora test perf -m model.gguf -p 0 -n 64 -o csv
  qlora test perf --models 7b,14b,32b --quant auto --vram-budget 11GiB --ram-budget 32GiB
  qlora test perf --train -m model.gguf --micro-batch-size 4 -c 2048 --rank 16
  qlora test perf --train --models 7b,32b --vram-budget 24GiB --steps 12 -o benchfmt > new.txt`

type perfOptions struct {
	perfModels
	format string
	inferenceOptions
	perf.Options
	train perfTrainOptions
}

func newTestPerfCmd(s *ui.Streams) *cobra.Command {
	var o perfOptions
	cmd := &cobra.Command{
		Use:     "perf -m model.gguf[,other.gguf] [flags]",
		Short:   "measure how fast models run or train, and what memory they take",
		Long:    perfLong + exitStatus(ui.ExitInvalid, ui.ExitDevice, ui.ExitDiverged, ui.ExitInterrupted),
		Example: perfExample,
		Args:    o.moreModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = append(o.names, args...)
			if err := errors.Join(o.check(), o.train.check(cmd)); err != nil {
				return asUsage(cmd, err)
			}
			if s.JSON && cmd.Flags().Changed("output") {
				return asUsage(cmd, errors.New("--json and --output exclude each other: both say how results are written"))
			}
			if o.train.on {
				return o.runTraining(cmd.Context(), s)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *perfOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	o.perfModels.addFlags(flags)
	flags.IntVarP(&o.Prompt, "n-prompt", "p", 512, "tokens of the prompt test (0: leave it out)")
	flags.IntVarP(&o.Generate, "n-gen", "n", 128, "tokens of the generation test (0: leave it out)")
	flags.IntVarP(&o.Repetitions, "repetitions", "r", 3, "measured rounds of each test")
	flags.BoolVar(&o.NoWarmup, "no-warmup", false, "measure the first round too")
	o.format = "md"
	flags.VarP(&enumFlag{value: &o.format, allowed: perf.Formats()}, "output", "o", "format of the results: "+strings.Join(perf.Formats(), ", "))
	o.inferenceOptions.addComputeFlags(flags)
	o.train.addFlags(flags)
}

func (o *perfOptions) check() error {
	switch {
	case len(o.models)+len(o.names) == 0:
		return errors.New("no model given: name GGUF files with -m, or sizes with --models 7b,14b")
	case o.Prompt < 0 || o.Generate < 0 || o.Repetitions < 1:
		return errors.New("-p and -n must not be negative, -r must be positive")
	case o.Prompt+o.Generate == 0:
		return errors.New("nothing to measure: -p and -n are both 0")
	}
	return nil
}

// perfSummary ends the JSON output of test perf.
type perfSummary struct {
	Results []perf.Result `json:"results"`
}

func (o *perfOptions) run(ctx context.Context, s *ui.Streams) error {
	logLlama(ctx)
	device, err := o.deviceOptions.open(s)
	if err != nil {
		return err
	}
	budget, err := o.budget(device)
	if err != nil {
		return err
	}
	if err := o.find(ctx, s, o.runFits(budget)); err != nil {
		return err
	}
	measured := o.Options
	measured.Threads, measured.FlashAttn = o.threads, o.flash.FlashAttn
	measured.Device, measured.GPULayers = device.gpu.Name, device.gpuLayers
	tests := 0
	for _, n := range []int{o.Prompt, o.Generate} {
		if n > 0 {
			tests++
		}
	}
	bar := ui.NewProgress(s, int64(len(o.models)*tests*o.Repetitions), "measure", "rounds")
	defer bar.Finish()
	var results []perf.Result
	for _, model := range o.models {
		bar.Describe(model)
		r, err := o.measureOne(ctx, s, model, measured, budget, func() { bar.Add(1) })
		if err != nil {
			bar.Finish()
			return errors.Join(err, o.printSome(s, len(results), func() error { return o.print(s, results) }))
		}
		if err := s.Event("result", r); err != nil {
			return err
		}
		results = append(results, r)
	}
	bar.Finish()
	return o.print(s, results)
}

func (o *perfOptions) measureOne(ctx context.Context, s *ui.Streams, model string, m perf.Options, b perf.Budget, round func()) (perf.Result, error) {
	placed, err := o.place(s, model, m, b)
	if err != nil {
		return perf.Result{}, err
	}
	if trained, err := trainedOn(model); err == nil && trained > 0 && max(o.Prompt, o.Generate) > trained {
		s.Warnf("%s was made for %d tokens: beyond them it is as fast as measured, but may ramble", model, trained)
	}
	r, err := abandon(ctx, func() (perf.Result, error) { return perf.Measure(ctx, model, placed, round) })
	return r, modelError(err)
}

// printSome prints the n models that were measured before one failed. With --json
// each has been told already, and the error ends the output.
func (o *perfOptions) printSome(s *ui.Streams, n int, print func() error) error {
	if n == 0 || s.JSON {
		return nil
	}
	return print()
}

func (o *perfOptions) print(s *ui.Streams, results []perf.Result) error {
	if s.JSON {
		return s.Event("summary", perfSummary{Results: results})
	}
	return perf.Write(s.Out, o.format, results)
}
