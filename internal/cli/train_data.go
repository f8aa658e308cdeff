package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// trainData is the samples of a run.
type trainData struct {
	model              *llama.Model // the vocabulary alone
	set, eval          *dataset.Set // eval is nil without evaluation data
	report, evalReport *dataset.Report
}

// loadTrainData reads the training and evaluation data with the model's
// vocabulary, samples of at most length tokens. As many ranks do the same.
func loadTrainData(ctx context.Context, r config.Run, base *gguf.File, length, ranks int, s *ui.Streams) (*trainData, error) {
	o, err := loadOptions(r, base, length)
	if err != nil {
		return nil, err
	}
	sources, err := dataset.ParseSources(slices.Concat(r.Data, r.EvalData))
	if err != nil {
		return nil, ui.Fail(ui.ExitUsage, err)
	}
	if err := checkPipes(pathsOf(sources), ranks); err != nil {
		return nil, err
	}
	model, err := llama.Load(r.Model, llama.LoadOptions{VocabOnly: true})
	if err != nil {
		return nil, invalidInput(err)
	}
	d := &trainData{model: model}
	if err := d.read(ctx, o, r, s); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *trainData) read(ctx context.Context, o dataset.LoadOptions, r config.Run, s *ui.Streams) (err error) {
	vocab := d.model.Vocab()
	d.set, d.report, err = loadFiles(ctx, o, r.Data, "reading training data", vocab, s)
	if err != nil || len(r.EvalData) == 0 {
		return err
	}
	d.eval, d.evalReport, err = loadFiles(ctx, o, r.EvalData, "reading evaluation data", vocab, s)
	return err
}

// loadOptions is the part of the settings that says how records become
// samples.
func loadOptions(r config.Run, base *gguf.File, length int) (dataset.LoadOptions, error) {
	o := dataset.LoadOptions{Loss: dataset.Loss(r.Loss), OverLength: dataset.OverLength(r.OverLength),
		MaxLength: length, SkipInvalid: r.SkipInvalid}
	day, err := time.Parse(time.DateOnly, r.TemplateDate)
	if err != nil {
		return o, ui.Fail(ui.ExitUsage, fmt.Errorf("template-date %q is not a day such as 2026-01-31", r.TemplateDate))
	}
	ofModel, _ := base.String("tokenizer.chat_template")
	o.Template, err = dataset.ChooseTemplate(r.ChatTemplate, ofModel, r.Model, day)
	return o, invalidInput(err, "choose another template with --chat-template")
}

// checkData finds mistakes in the data settings before anything is opened.
func checkData(r config.Run) error {
	if _, err := dataset.ParseLoss(r.Loss); err != nil {
		return err
	}
	if _, err := dataset.ParseOverLength(r.OverLength); err != nil {
		return err
	}
	if _, err := time.Parse(time.DateOnly, r.TemplateDate); err != nil {
		return fmt.Errorf("template-date %q is not a day such as 2026-01-31", r.TemplateDate)
	}
	if _, err := dataset.ParseSources(r.Data); err != nil {
		return err
	}
	eval, err := dataset.ParseSources(r.EvalData)
	for _, e := range eval {
		if e.Weight != 1 {
			return fmt.Errorf("evaluation data %s: a weight of %g has no meaning there", e.Path, e.Weight)
		}
	}
	return err
}

// loadFiles reads the files of args, FILE or FILE:WEIGHT, under a progress bar.
func loadFiles(ctx context.Context, o dataset.LoadOptions, args []string, label string, t dataset.Tokenizer, s *ui.Streams) (*dataset.Set, *dataset.Report, error) {
	var err error
	if o.Sources, err = dataset.ParseSources(args); err != nil {
		return nil, nil, ui.Fail(ui.ExitUsage, err)
	}
	if err := checkDataFiles(o.Sources); err != nil {
		return nil, nil, err
	}
	bar := ui.NewProgress(s, dataset.Size(pathsOf(o.Sources)), label, "B")
	defer bar.Finish()
	o.Progress = bar.Add
	return dataset.Load(ctx, o, t)
}

// Close frees the vocabulary.
func (d *trainData) Close() error { return d.model.Close() }

// describe prints what was read, and by show the first sample with its trained
// part marked.
func (d *trainData) describe(s *ui.Streams, show func(format string, args ...any)) error {
	if !s.JSON {
		if err := d.report.Write(s.Out); err != nil {
			return fmt.Errorf("print the data report: %w", err)
		}
	}
	show("%s", dataset.Preview(&d.set.Samples[0], d.model.Vocab(), s))
	err := s.Event("data", d.report)
	if d.eval == nil {
		return err
	}
	if !s.JSON {
		s.Printf("for evaluation:\n")
		err = errors.Join(err, d.evalReport.Write(s.Out))
	}
	return errors.Join(err, s.Event("eval_data", d.evalReport))
}

// warnData tells what is wrong with data; a report may be nil.
func warnData(s *ui.Streams, r *dataset.Report) {
	if r == nil {
		return
	}
	for _, text := range r.Warnings() {
		s.Warnf("%s", text)
	}
}

// skippedRecords counts the lines that were left out as unreadable.
func (d *trainData) skippedRecords() int {
	n := d.report.SkippedLines
	if d.evalReport != nil {
		n += d.evalReport.SkippedLines
	}
	return n
}

// longest is the number of tokens of the longest sample.
func (d *trainData) longest() int {
	if d.evalReport == nil {
		return d.report.Longest
	}
	return max(d.report.Longest, d.evalReport.Longest)
}

// epochs lays out the training samples in rows of length tokens.
func (d *trainData) epochs(r config.Run, length int) train.Source {
	o := dataset.PackOptions{Rows: r.MicroBatchSize, Length: length, Pack: r.Pack, Seed: r.Seed, Shuffle: true}
	return func(epoch int) (train.Batches, error) {
		p := d.set.Plan(epoch, o)
		return p, p.Err()
	}
}

// evaluation lays out the evaluation samples, in the same order every time;
// nil without any.
func (d *trainData) evaluation(r config.Run, length int) train.Batches {
	if d.eval == nil {
		return nil
	}
	return d.eval.Plan(0, dataset.PackOptions{Rows: r.MicroBatchSize, Length: length, Pack: r.Pack})
}
