package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/evaluate/comparison"
	"github.com/qlora/qlora/internal/ui"
)

const compareLong = `Compare measures a base model and, each by itself, adapters for it and merged
models on the same data, and says in one sentence each whether they helped:

  loss and perplexity over the tokens that training would train on,
  gaps filled exactly and edit similarity, by language,
  answers side by side, with how near each is to the data's,
  general text that nothing was trained on: its loss, and how far each model's
  predictions are from the base's (KL divergence), which tells of forgetting.

Differences are paired, sample by sample, and come with bootstrap confidence
intervals. The verdict goes by the loss: helped when the interval of its
difference lies below zero. The same call gives the same figures.`

const compareExample = `  qlora test compare -m base.gguf --lora outputs/mine/adapter.gguf --data data/eval.jsonl
  qlora test compare -m base.gguf --lora a.gguf,b.gguf:0.5 --merged m.gguf --data eval.jsonl --report compare.html
  qlora test compare -m base.gguf --lora a.gguf --data eval.jsonl --fim-samples 0 --generations 0 --json`

type compareOptions struct {
	baselineOptions
	merged    []string
	general   string
	noGeneral bool
	report    string
	answers   string
	resamples int
	seed      uint64
	level     float64
}

func newTestCompareCmd(s *ui.Streams) *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:     "compare -m base.gguf --lora adapter.gguf --data eval.jsonl [flags]",
		Short:   "tell whether adapters or merged models are better than their base",
		Long:    compareLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitDevice, ui.ExitInterrupted),
		Example: compareExample,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *compareOptions) addFlags(flags *pflag.FlagSet) {
	o.baselineOptions.addFlags(flags)
	flags.Lookup("lora").Usage = "LoRA adapters to compare, each by itself: FILE or FILE:SCALE"
	flags.StringSliceVar(&o.merged, "merged", nil, "whole models to compare, such as merged ones, with the base's vocabulary")
	flags.StringVar(&o.general, "general", "", "text `file` in place of the built-in general text; blank lines part its passages")
	flags.BoolVar(&o.noGeneral, "no-general", false, "leave general text out")
	flags.StringVar(&o.report, "report", "", "HTML `file` to write the whole comparison to")
	flags.StringVar(&o.answers, "answers", "", "HTML `file` to write the answers side by side to")
	flags.IntVar(&o.resamples, "resamples", 2000, "resamples of the bootstrap")
	flags.Float64Var(&o.level, "confidence", 0.95, "share of intervals that shall hold the true value")
	flags.Uint64Var(&o.seed, "seed", 42, "seed of the bootstrap")
}

func (o *compareOptions) check() error {
	switch {
	case len(o.lora) == 0 && len(o.merged) == 0:
		return errors.New("nothing to compare with the base: name adapters with --lora or models with --merged")
	case o.resamples < 100 || o.resamples > 1_000_000:
		return errors.New("--resamples must be 100 to 1000000")
	case !(o.level > 0.5 && o.level < 1):
		return errors.New("--confidence must be above 0.5 and below 1")
	case o.report != "" && o.answers != "" && sameOutput(o.report, o.answers):
		return errors.New("--report and --answers name the same file")
	case o.answers != "" && o.generations == 0:
		return errors.New("--answers with --generations 0: there are no answers to write")
	case o.general != "" && o.noGeneral:
		return errors.New("--general and --no-general exclude each other")
	}
	return o.baselineOptions.check()
}

func (o *compareOptions) run(ctx context.Context, s *ui.Streams) (err error) {
	if err := o.checkPages(); err != nil {
		return err
	}
	sources, err := dataset.ParseSources(o.data)
	if err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	if err := checkPipes(pathsOf(sources), 2); err != nil { // languages are looked up at the end
		return err
	}
	b, err := openCompared(ctx, o, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	set, data, err := o.load(ctx, b.base.session)
	if err != nil {
		return err
	}
	if err := tellData(s, data); err != nil {
		return err
	}
	report, err := b.compare(ctx, o, set.Samples, s)
	if err != nil {
		return err
	}
	if err := o.write(s, report, data.SkippedLines); err != nil {
		return err
	}
	if data.SkippedLines > 0 {
		return ui.Fail(ui.ExitSkipped, fmt.Errorf("skipped %s", english.Plural(data.SkippedLines, "unreadable line", "")))
	}
	return nil
}

// tellData prints what was read.
func tellData(s *ui.Streams, report *dataset.Report) error {
	if !s.JSON && !s.Quiet {
		if err := report.Write(s.Err); err != nil {
			return fmt.Errorf("print the data report: %w", err)
		}
	}
	warnData(s, report)
	return s.Event("data", report)
}

func (o *compareOptions) intervals() comparison.Options {
	return comparison.Options{Seed: o.seed, Resamples: o.resamples, Level: o.level}
}
