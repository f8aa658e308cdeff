package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	prepstats "github.com/qlora/qlora/internal/prep/stats"
	"github.com/qlora/qlora/internal/ui"
)

const statsLong = `Stats reads data files and says what is in them: samples by kind, tokens with
and without loss, a histogram of the lengths, how much fits contexts of 1k to
32k tokens, roles, languages, tools, sources, exact duplicates, the longest
samples and the lines that cannot be used.

With -m, lengths are counted with the model's vocabulary and chat template, as
training counts them, but nothing is cut. Without it they are estimated from
characters. --report writes a page for a browser (.html), or the histogram
alone (.svg).

Files of any size, plain or packed with gzip or zstd, are read in one pass;
memory does not grow with them.`

type statsOptions struct {
	vocabularyOptions
	report  string
	workers int
	strict  bool
}

func newStatsCmd(s *ui.Streams) *cobra.Command {
	var o statsOptions
	cmd := &cobra.Command{
		Use:   "stats FILE...",
		Short: "count samples and tokens of data files, draw their lengths",
		Long:  statsLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep stats data/train.jsonl
  qlora prep stats data/*.jsonl -m base.gguf --report lengths.html
  qlora prep stats data/train.jsonl -m base.gguf --json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := prepstats.CheckReport(o.report); err != nil {
				return asUsage(cmd, err)
			}
			if err := refuseOverwrite("--report", o.report, slices.Concat(args, []string{o.model, o.template})...); err != nil {
				return err
			}
			return o.run(cmd.Context(), s, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.vocabularyOptions.addFlags(flags)
	flags.StringVar(&o.report, "report", "", "file to write: .html for a page, .svg for the histogram")
	flags.IntVar(&o.workers, "workers", 0, "goroutines that tokenise (default: one a core)")
	flags.BoolVar(&o.strict, "strict", false, "stop at the first line that cannot be used")
	return cmd
}

func (o *statsOptions) run(ctx context.Context, s *ui.Streams, paths []string) (err error) {
	v, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	r, err := measureFiles(ctx, s, o.options(v, paths))
	if r == nil {
		return statsFailure(err)
	}
	if err != nil {
		return errors.Join(o.publishEmpty(s, r), statsFailure(err))
	}
	if err := o.publish(s, r); err != nil {
		return err
	}
	return skippedInput(s, "line", r.Problems, r.Skipped)
}

func (o *statsOptions) options(v *vocabulary, paths []string) prepstats.Options {
	out := prepstats.Options{Paths: paths, Encoder: v.encoder(), Model: o.model, Workers: o.workers, Strict: o.strict}
	if v != nil {
		out.Template = v.template
	}
	return out
}

// measureFiles runs stats under a progress bar.
func measureFiles(ctx context.Context, s *ui.Streams, o prepstats.Options) (*prepstats.Report, error) {
	if err := checkPipes(o.Paths, 1); err != nil {
		return nil, err
	}
	bar := &byteProgress{s: s, label: "measuring"}
	o.Total, o.Progress = bar.start, bar.add
	defer bar.finish()
	return prepstats.Run(ctx, o)
}

// publish writes the report where it was asked for.
func (o *statsOptions) publish(s *ui.Streams, r *prepstats.Report) error {
	if o.report != "" {
		if err := r.WriteFile(o.report); err != nil {
			return err
		}
		s.Infof("wrote %s\n", o.report)
	}
	if s.JSON {
		return s.Event("summary", r)
	}
	return r.WriteText(s.Out, textOptions(s))
}

// publishEmpty names the lines of input in which nothing is usable.
func (o *statsOptions) publishEmpty(s *ui.Streams, r *prepstats.Report) error {
	warnSkipped(s, r.Problems)
	return s.Event("summary", r)
}

// textOptions is what standard output can show.
func textOptions(s *ui.Streams) prepstats.TextOptions {
	return prepstats.TextOptions{Width: s.Width, ASCII: !s.OutTTY || s.Dumb}
}

func statsFailure(err error) error {
	var line *prepstats.LineError
	switch {
	case errors.Is(err, prepstats.ErrNothing):
		return ui.Fail(ui.ExitInvalid, err, "make data first: qlora prep logs2sft --help, qlora prep repo2fim --help")
	case errors.As(err, &line):
		return ui.Fail(ui.ExitInvalid, err, "without --strict such lines are left out and counted")
	default:
		return prepFailure(err)
	}
}
