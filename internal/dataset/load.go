package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/ui"
)

// LoadOptions says which files to read and how to make samples of them.
type LoadOptions struct {
	Sources []Source
	// Template renders chats; nil is an error once a file holds chats.
	Template *Template
	Loss     Loss // empty: LossAssistant
	// MaxLength is the most tokens of a sample, at least 2.
	MaxLength  int
	OverLength OverLength // empty: OverTruncate
	// SkipInvalid passes over lines that cannot become samples and counts
	// them; the caller exits with ui.ExitSkipped when the report has some.
	SkipInvalid bool
	// Workers is the number of goroutines; 0 is one a core. The result does
	// not depend on it.
	Workers int
	// Progress, if set, is told the bytes that were read of the files.
	Progress func(bytes int64)
}

// Load reads all sources and returns their samples in order with a report.
// Data that cannot be trained on (a broken line, nothing in it, nothing to
// train) is an error with the exit code ui.ExitInvalid.
func Load(ctx context.Context, o LoadOptions, t Tokenizer) (*Set, *Report, error) {
	var err error
	if o.Loss, err = ParseLoss(string(o.Loss)); err != nil {
		return nil, nil, ui.Fail(ui.ExitUsage, err)
	}
	if o.OverLength, err = ParseOverLength(string(o.OverLength)); err != nil {
		return nil, nil, ui.Fail(ui.ExitUsage, err)
	}
	if o.MaxLength < 2 {
		return nil, nil, ui.Fail(ui.ExitUsage, fmt.Errorf("samples of at most %d tokens: at least 2 are needed", o.MaxLength))
	}
	if len(o.Sources) == 0 {
		return nil, nil, ui.Fail(ui.ExitUsage, errors.New("no data files"))
	}
	if o.Workers <= 0 {
		o.Workers = runtime.NumCPU()
	}
	l := &loader{builder: newBuilder(o, t), set: &Set{Sources: slices.Clone(o.Sources)}}
	l.report = &Report{Loss: o.Loss, OverLength: OverLengthReport{Limit: o.MaxLength, Policy: o.OverLength}}
	for i := range o.Sources {
		if err := l.file(ctx, i); err != nil {
			return nil, nil, explain(err)
		}
	}
	return l.finish()
}

type loader struct {
	*builder
	set    *Set
	report *Report
}

// job is one line on its way through the workers.
type job struct {
	line  int
	data  []byte
	kind  Kind
	out   outcome
	err   error // *LineError, or what ends the load
	ready chan struct{}
}

// file reads one source: a reader, workers that build samples, and this
// goroutine, which takes them back in the order of the lines.
func (l *loader) file(ctx context.Context, source int) error {
	path := l.o.Sources[source].Path
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := Open(ctx, path, l.o.Progress)
	if err != nil {
		return fmt.Errorf("read data: %w", err)
	}
	defer f.Close()

	ordered := make(chan *job, 4*l.o.Workers)
	work := make(chan *job, 4*l.o.Workers)
	var group sync.WaitGroup
	group.Go(func() { readJobs(ctx, f, work, ordered) })
	for range l.o.Workers {
		group.Go(func() {
			for j := range work {
				l.run(j)
			}
		})
	}
	l.report.Files = append(l.report.Files, FileReport{Path: path, Weight: l.o.Sources[source].Weight})
	report := &l.report.Files[len(l.report.Files)-1]
	var failed error
	for j := range ordered {
		<-j.ready
		if failed != nil {
			continue // let the goroutines run dry
		}
		if failed = l.collect(j, source, report); failed != nil {
			cancel()
		}
	}
	group.Wait()
	if failed == nil {
		failed = context.Cause(ctx)
	}
	return failed
}

func readJobs(ctx context.Context, r io.Reader, work, ordered chan<- *job) {
	defer close(work)
	defer close(ordered)
	lines := newLineReader(r, MaxLine)
	for ctx.Err() == nil {
		data, line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return
		}
		j := &job{line: line, data: data, err: err, ready: make(chan struct{})}
		ordered <- j
		if err == nil {
			work <- j
			continue
		}
		close(j.ready)
		if _, ok := errors.AsType[*LineError](err); !ok {
			return
		}
	}
}

// run builds the samples of a line.
func (l *loader) run(j *job) {
	defer close(j.ready)
	r, err := parseRecord(j.data)
	j.data = nil
	if err != nil {
		j.err = &LineError{err}
		return
	}
	j.kind = r.kind
	if j.out, err = l.build(r); err != nil {
		j.err = &LineError{err}
		if ofTheModel(err) {
			j.err = err
		}
	}
}

// ofTheModel reports errors that skipping lines would only hide.
func ofTheModel(err error) bool {
	for _, e := range []error{errNoTemplate, errNoFIM, errNoEnd, errOverLength} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// collect takes the outcome of a line into the set. A file may hold several
// kinds of records: "prep split" merges chats and code into one train.jsonl.
func (l *loader) collect(j *job, source int, report *FileReport) error {
	if err := j.err; err != nil {
		if _, ok := errors.AsType[*LineError](err); ok && l.o.SkipInvalid {
			l.report.skip(report, j.line, err)
			return nil
		}
		return fmt.Errorf("%s:%d: %w", report.Path, j.line, err)
	}
	report.note(j.kind)
	l.report.count(report, j.out)
	for _, s := range j.out.samples {
		l.add(Sample{Tokens: s.tokens, Train: s.train, File: report.Path, Line: j.line, Source: source}, report)
	}
	return nil
}

func (l *loader) add(s Sample, report *FileReport) {
	s.Train[0] = false
	trained := s.Trained()
	if trained == 0 {
		l.report.Untrained++
		return
	}
	report.Samples++
	report.Tokens += int64(len(s.Tokens))
	report.Trained += int64(trained)
	l.report.Longest = max(l.report.Longest, len(s.Tokens))
	l.set.Samples = append(l.set.Samples, s)
}

func (l *loader) finish() (*Set, *Report, error) {
	r := l.report
	for _, f := range r.Files {
		r.Samples += f.Samples
		r.Tokens += f.Tokens
		r.Trained += f.Trained
	}
	if l.o.Template != nil && slices.ContainsFunc(r.Files, FileReport.hasChats) {
		r.Template = l.o.Template.Source
		r.Dated = l.o.Template.UsesDate()
	}
	if r.Samples > 0 {
		return l.set, r, nil
	}
	return nil, r, ui.Fail(ui.ExitInvalid, l.empty(), "look at the first lines of the file; 'qlora help formats' lists the kinds of records")
}

// isChat reports kinds that need a chat template. Completions do only when
// they are lists of messages; for the report they count as text.
func (k Kind) isChat() bool { return k == KindMessages || k == KindShareGPT || k == KindAlpaca }

// empty says why there is no sample.
func (l *loader) empty() error {
	r := l.report
	records := 0
	for _, f := range r.Files {
		records += f.Records
	}
	switch {
	case r.Untrained > 0:
		return fmt.Errorf("no token of the data carries loss: %s masked whole (loss on %s)", allRecords(r.Untrained), r.Loss)
	case r.OverLength.Dropped > 0:
		return fmt.Errorf("%s longer than %d tokens and dropped", allRecords(r.OverLength.Dropped), r.OverLength.Limit)
	case r.SkippedLines > 0 && records == 0:
		return fmt.Errorf("none of %s could be used; the first, %s:%d: %s",
			english.Plural(r.SkippedLines, "line", ""), r.Skipped[0].File, r.Skipped[0].Line, r.Skipped[0].Reason)
	}
	return fmt.Errorf("%s holds no records", l.o.Sources[0].Path)
}

func allRecords(n int) string {
	return english.PluralWord(n, "the one record is", fmt.Sprintf("all %d records are", n))
}

// explain gives an error its exit code and the next thing to try.
func explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var hints []string
	_, damaged := errors.AsType[*DamagedError](err)
	switch _, ofLine := errors.AsType[*LineError](err); {
	case damaged:
		hints = append(hints, "copy or pack the file again; 'qlora prep split' takes what can be read of it")
	case errors.Is(err, os.ErrNotExist):
		hints = append(hints, "check the path, or make data first: qlora prep logs2sft --help, qlora prep repo2fim --help")
	case errors.Is(err, errBinary):
		hints = append(hints, "'qlora help formats' lists the kinds of data and of models")
	case errors.Is(err, errNoTemplate):
		hints = append(hints, "pass --chat-template with a file or one of the built-in templates, such as --chat-template chatml")
	case errors.Is(err, errNoFIM):
		hints = append(hints, "prepare code as text for it: qlora prep repo2fim --format text", "or take a model that knows them, such as Qwen2.5-Coder")
	case errors.Is(err, errOverLength):
		hints = append(hints, "raise the context length, or pass --over-length drop, truncate or split")
	case errors.Is(err, errUnstable):
		hints = append(hints, "--loss completion trains on the last turn alone, --loss all needs no mask, --chat-template takes another template")
	case ofLine:
		hints = append(hints, "pass --skip-invalid to leave such lines out and count them")
	}
	return ui.Fail(ui.ExitInvalid, err, hints...)
}
