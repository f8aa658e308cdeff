package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/evaluate"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

const baselineLong = `Baseline measures a model on data: loss and perplexity over the tokens that
training would train on, bits per byte of their text, how often gaps are filled
exactly, and a few answers. With --lora it measures the model with the adapters
too and shows both side by side.`

const baselineExample = `  qlora test baseline -m base.gguf --data data/eval.jsonl
  qlora test baseline -m base.gguf --lora outputs/mine/adapter.gguf --data data/eval.jsonl
  qlora test baseline -m base.gguf --lora a.gguf:0.5 --data eval.jsonl --generations 0 --json`

type baselineOptions struct {
	inferenceOptions
	data        []string
	template    string
	loss        string
	overLength  string
	skipInvalid bool
	fimSamples  int
	generations int
	predict     int
}

func newTestBaselineCmd(s *ui.Streams) *cobra.Command {
	var o baselineOptions
	cmd := &cobra.Command{
		Use:     "baseline -m model.gguf --data eval.jsonl [flags]",
		Short:   "measure how well a model, with and without adapters, knows data",
		Long:    baselineLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitDevice, ui.ExitInterrupted),
		Example: baselineExample,
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

func (o *baselineOptions) addFlags(flags *pflag.FlagSet) {
	flags.SortFlags = false
	o.inferenceOptions.addFlags(flags)
	flags.StringSliceVar(&o.data, "data", nil, "JSONL files to measure on")
	flags.StringVar(&o.template, "chat-template", "", "chat template instead of the model's: a name, a file or the text")
	enumVar(flags, &o.loss, "loss", string(dataset.LossAssistant),
		[]string{string(dataset.LossAssistant), string(dataset.LossAll), string(dataset.LossCompletion)}, "tokens that count")
	enumVar(flags, &o.overLength, "over-length", string(dataset.OverTruncate),
		[]string{string(dataset.OverDrop), string(dataset.OverTruncate), string(dataset.OverSplit), string(dataset.OverError)},
		"what becomes of samples longer than the context")
	flags.BoolVar(&o.skipInvalid, "skip-invalid", false, "pass over lines that cannot be read")
	flags.IntVar(&o.fimSamples, "fim-samples", 50, "most gaps to fill (0: none)")
	flags.IntVar(&o.generations, "generations", 3, "answers to show (0: none)")
	flags.IntVarP(&o.predict, "predict", "n", 96, "most tokens of an answer")
}

func (o *baselineOptions) check() error {
	switch {
	case o.model == "":
		return errors.New("no model given: name a GGUF file with -m")
	case len(o.data) == 0:
		return errors.New("no data given: name JSONL files with --data")
	case o.fimSamples < 0 || o.generations < 0 || o.predict < 1:
		return errors.New("--fim-samples and --generations must not be negative, --predict must be positive")
	}
	return nil
}

func (o *baselineOptions) run(ctx context.Context, s *ui.Streams) (err error) {
	sess, err := o.open(ctx, s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sess.close()) }()
	sess.warnContext(s)
	set, report, err := o.load(ctx, sess)
	if err != nil {
		return err
	}
	if !s.JSON && !s.Quiet {
		if err := report.Write(s.Err); err != nil {
			return fmt.Errorf("print the data report: %w", err)
		}
	}
	warnData(s, report)
	if err := s.Event("data", report); err != nil {
		return err
	}
	sum, err := o.measureAll(ctx, sess, set.Samples, s)
	if err != nil {
		return err
	}
	sum.SkippedLines = report.SkippedLines
	if err := o.print(s, sum); err != nil {
		return err
	}
	if report.SkippedLines > 0 {
		return ui.Fail(ui.ExitSkipped, fmt.Errorf("skipped %s", english.Plural(report.SkippedLines, "unreadable line", "")))
	}
	return nil
}

// load reads the data with the model's own vocabulary and template.
func (o *baselineOptions) load(ctx context.Context, sess *session) (*dataset.Set, *dataset.Report, error) {
	sources, err := dataset.ParseSources(o.data)
	if err != nil {
		return nil, nil, ui.Fail(ui.ExitUsage, err)
	}
	if err := checkDataFiles(sources); err != nil {
		return nil, nil, err
	}
	m := sess.model
	template, err := dataset.ChooseTemplate(o.template, m.ChatTemplate(), m.Path(), time.Now())
	if err != nil {
		return nil, nil, ui.Fail(ui.ExitInvalid, err, "name another template with --chat-template")
	}
	length := o.contextOptions(m).Ctx
	return dataset.Load(ctx, dataset.LoadOptions{
		Sources: sources, Template: template, Loss: dataset.Loss(o.loss), MaxLength: length,
		OverLength: dataset.OverLength(o.overLength), SkipInvalid: o.skipInvalid,
	}, m.Vocab())
}

// measureAll measures the base model and, with adapters, the two together.
func (o *baselineOptions) measureAll(ctx context.Context, sess *session, samples []dataset.Sample, s *ui.Streams) (sum baselineSummary, err error) {
	c, err := sess.model.NewContext(evaluate.ContextOptions(samples, o.predict, o.contextOptions(sess.model)))
	if err != nil {
		return sum, modelError(err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	sum = baselineSummary{Model: o.model, LoRA: o.lora, Data: o.data}
	base, answers, err := o.measure(ctx, "base", c, samples, s)
	if err != nil {
		return sum, err
	}
	sum.Base = base
	sum.Generations = pairAnswers(answers, nil)
	if len(sess.adapters) == 0 {
		return sum, nil
	}
	if err := c.SetAdapters(sess.adapters); err != nil {
		return sum, modelError(err)
	}
	adapted, with, err := o.measure(ctx, "adapter", c, samples, s)
	if err != nil {
		return sum, err
	}
	sum.Adapter = &adapted
	sum.Generations = pairAnswers(answers, with)
	return sum, nil
}

// measure takes all figures of one variant of the model.
func (o *baselineOptions) measure(ctx context.Context, name string, c *llama.Context, samples []dataset.Sample, s *ui.Streams) (baselineResult, []evaluate.Answer, error) {
	bar := ui.NewProgress(s, int64(len(samples)), "loss, "+name, "samples")
	loss, err := evaluate.MeasureLoss(ctx, c, samples, func(n int) { bar.Set(int64(n)) })
	bar.Finish()
	if err != nil {
		return baselineResult{}, nil, modelError(err)
	}
	result := resultOf(name, loss)
	if gaps := min(o.fimSamples, evaluate.HasFIM(c.Model().Vocab(), samples)); gaps > 0 {
		bar := ui.NewProgress(s, int64(gaps), "gaps, "+name, "samples")
		fim, err := evaluate.MeasureFIM(ctx, c, samples, gaps, func(n int) { bar.Set(int64(n)) })
		bar.Finish()
		if err != nil {
			return result, nil, modelError(err)
		}
		result.FIM = &fimResult{Samples: fim.Samples, ExactMatch: fim.ExactMatch(), EditSimilarity: fim.Similarity}
	}
	answers, err := evaluate.Answers(ctx, c, samples, o.generations, o.predict)
	if err != nil {
		return result, nil, modelError(err)
	}
	return result, answers, s.Event("result", result)
}
