package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/dataset"
	prepstats "github.com/qlora/qlora/internal/prep/stats"
	"github.com/qlora/qlora/internal/ui"
)

const lengthsLong = `Lengths counts the tokens of data with a model's vocabulary and chat template,
as training does, and says which context fits: a histogram, percentiles, and for
each size of --sizes the samples that fit whole, the tokens that are left when
longer samples are cut, the rows of an epoch and how full they are, packed by
the trainer's own packer and with one sample a row.

It suggests the smallest size, within what the model was trained for, in which
--cover of the samples fit whole. Samples without a token to train on are left
out, as training leaves them out.`

type lengthsOptions struct {
	vocabularyOptions
	data    []string
	sizes   []int
	cover   float64
	seed    uint64
	workers int
}

func newTestLengthsCmd(s *ui.Streams) *cobra.Command {
	var o lengthsOptions
	cmd := &cobra.Command{
		Use:   "lengths -m model.gguf --data train.jsonl [flags]",
		Short: "count tokens of data and find the context that fits",
		Long:  lengthsLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora test lengths -m base.gguf --data data/train.jsonl
  qlora test lengths -m base.gguf --data chat.jsonl,fim.jsonl:0.5 --sizes 1024,3072 --cover 0.95
  qlora test lengths -m base.gguf --data data/train.jsonl --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.vocabularyOptions.addFlags(flags)
	flags.StringSliceVar(&o.data, "data", nil, "JSONL files to measure, FILE or FILE:WEIGHT")
	flags.IntSliceVar(&o.sizes, "sizes", []int{512, 1024, 2048, 4096, 8192, 16384, 32768}, "contexts to try, in tokens")
	flags.Float64Var(&o.cover, "cover", 0.99, "share of the samples that the suggested context must hold whole")
	flags.Uint64Var(&o.seed, "seed", 42, "seed of the order in which the packer sees samples")
	flags.IntVar(&o.workers, "workers", 0, "goroutines that tokenise (default: one a core)")
	return cmd
}

func (o *lengthsOptions) check() error {
	slices.Sort(o.sizes)
	o.sizes = slices.Compact(o.sizes)
	switch {
	case o.model == "":
		return errors.New("no model given: name a GGUF file with -m")
	case len(o.data) == 0:
		return errors.New("no data given: name JSONL files with --data")
	case len(o.sizes) == 0 || o.sizes[0] < 2:
		return errors.New("--sizes must be contexts of at least 2 tokens")
	case !(o.cover > 0 && o.cover <= 1):
		return fmt.Errorf("--cover %g: want a share above 0 and at most 1", o.cover)
	}
	_, err := dataset.ParseSources(o.data)
	return err
}

// lengthsSummary is the outcome.
type lengthsSummary struct {
	*prepstats.Report
	Contexts []prepstats.Packing `json:"contexts"`
	// ModelContext is what the model was trained for, 0 when it does not say.
	ModelContext int     `json:"model_context,omitempty"`
	Cover        float64 `json:"cover"`
	Suggested    int     `json:"suggested_context"`
	// Covered is false when no size that was tried holds the share Cover.
	Covered bool `json:"covered"`
}

func (o *lengthsOptions) run(ctx context.Context, s *ui.Streams) (err error) {
	v, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	sum := &lengthsSummary{ModelContext: trainedContext(v), Cover: o.cover}
	if err := o.measure(ctx, s, v, sum); err != nil {
		return err
	}
	if s.JSON {
		err = s.Event("summary", sum)
	} else {
		err = o.print(s, sum)
	}
	if err != nil {
		return err
	}
	return skippedInput(s, "line", sum.Problems, sum.Skipped)
}

// trainedContext is the context that the model file names.
func trainedContext(v *vocabulary) int {
	text, _ := v.model.Meta(v.model.Arch() + ".context_length")
	n, _ := strconv.Atoi(text) // absent or no number: unknown
	return n
}

func (o *lengthsOptions) measure(ctx context.Context, s *ui.Streams, v *vocabulary, sum *lengthsSummary) error {
	sources, err := dataset.ParseSources(o.data)
	if err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	var samples []prepstats.Sized
	stats := prepstats.Options{Encoder: v.encoder(), Model: o.model, Template: v.template, Workers: o.workers,
		Each: func(path, tokens, trained int) {
			if trained > 0 {
				samples = append(samples, prepstats.Sized{Tokens: tokens, Source: path})
			}
		}}
	for _, source := range sources {
		stats.Paths = append(stats.Paths, source.Path)
	}
	r, err := measureFiles(ctx, s, stats)
	if r != nil && errors.Is(err, prepstats.ErrNothing) {
		warnSkipped(s, r.Problems)
	}
	if err != nil {
		return statsFailure(err)
	}
	if len(samples) == 0 {
		return ui.Fail(ui.ExitInvalid, errors.New("no sample has a token to train on"), "see what counts with 'qlora prep show', or choose with --loss")
	}
	sum.Report = r
	return o.pack(ctx, samples, sources, sum)
}

func (o *lengthsOptions) pack(ctx context.Context, samples []prepstats.Sized, sources []dataset.Source, sum *lengthsSummary) error {
	for _, size := range o.sizes {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, err := prepstats.Pack(samples, sources, size, o.seed)
		if err != nil {
			return err
		}
		sum.Contexts = append(sum.Contexts, p)
	}
	within := sum.Contexts
	if sum.ModelContext > 0 {
		within = slices.DeleteFunc(slices.Clone(within), func(p prepstats.Packing) bool { return p.Size > sum.ModelContext })
	}
	if len(within) == 0 {
		within = sum.Contexts[:1]
	}
	sum.Suggested, sum.Covered = prepstats.Suggest(within, o.cover)
	return nil
}

func (o *lengthsOptions) print(s *ui.Streams, sum *lengthsSummary) error {
	text := textOptions(s)
	text.Brief, text.LengthsOnly = true, true
	if err := sum.WriteText(s.Out, text); err != nil {
		return err
	}
	s.Printf("\n")
	var rows [][]string
	for _, p := range sum.Contexts {
		rows = append(rows, []string{humanize.Comma(int64(p.Size)), share(p.Fit), share(p.Kept),
			humanize.Comma(int64(p.Rows)), share(p.Fill), share(p.UnpackedFill)})
	}
	ui.Table(s.Out, []string{"context", "samples fit", "tokens kept", "rows packed", "full", "full unpacked"}, rows)
	if sum.ModelContext > 0 {
		s.Printf("the model was trained for %s tokens\n", humanize.Comma(int64(sum.ModelContext)))
	}
	if !sum.Covered {
		s.Printf("no size tried within that holds %g %% of the samples whole; the longest has %s tokens\n",
			100*sum.Cover, humanize.Comma(int64(sum.All.Length.Max)))
	}
	s.Printf("suggested: -c %d\n", sum.Suggested)
	return nil
}

func share(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }
