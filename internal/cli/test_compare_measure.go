package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/evaluate"
	"github.com/qlora/qlora/internal/evaluate/comparison"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

// comparer measures models one after the other on the same things.
type comparer struct {
	o         *compareOptions
	s         *ui.Streams
	samples   []dataset.Sample
	passages  [][]int32
	languages map[string]string
	session   *session       // of the base
	base      *llama.Context // for general text, beside each variant's
	size      llama.ContextOptions
}

func (set *comparedSet) compare(ctx context.Context, o *compareOptions, samples []dataset.Sample, s *ui.Streams) (report *comparison.Report, err error) {
	m := set.base.session.model
	c := &comparer{o: o, s: s, samples: samples, session: set.base.session, size: evaluate.ContextOptions(samples, o.predict, o.contextOptions(m))}
	if c.passages, err = o.passages(m, s, c.size.Ctx); err != nil {
		return nil, err
	}
	if c.languages, err = evaluate.Languages(ctx, samples); err != nil {
		return nil, err
	}
	if c.base, err = m.NewContext(c.size); err != nil {
		return nil, modelError(err)
	}
	defer func() { err = errors.Join(err, c.base.Close()) }()
	base, err := c.measure(ctx, set.base, c.base)
	if err != nil {
		return nil, err
	}
	var measured []comparison.Measured
	for _, v := range set.variants {
		got, err := c.variant(ctx, v)
		if err != nil {
			return nil, err
		}
		measured = append(measured, got)
	}
	if report, err = comparison.Compare(base, measured, o.intervals()); err != nil {
		return nil, err
	}
	report.Model, report.Data = o.model, o.data
	report.Origin = comparison.Origin{Version: versionString(), Made: time.Now(), Command: commandLine(os.Args[1:])}
	return report, nil
}

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[\w@%+=:,./-]+$`)

// commandLine is a call of qlora as a shell takes it.
func commandLine(args []string) string {
	words := []string{"qlora"}
	for _, arg := range args {
		if !plainWord.MatchString(arg) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// passages are those of the general text, of at most the context's size.
func (o *compareOptions) passages(m *llama.Model, s *ui.Streams, limit int) ([][]int32, error) {
	if o.noGeneral {
		return nil, nil
	}
	text := evaluate.GeneralText
	if o.general != "" {
		data, err := os.ReadFile(o.general)
		if err != nil {
			return nil, ui.Fail(ui.ExitInvalid, fmt.Errorf("read the general text: %w", err), "name a text file with --general, or leave it out")
		}
		text = string(data)
	}
	passages, cut, err := evaluate.Passages(m.Vocab(), text, limit)
	if err == nil && len(passages) == 0 {
		err = ui.Fail(ui.ExitInvalid, fmt.Errorf("the general text %s holds no passage of two tokens", o.general), "leave general text out with --no-general")
	}
	if cut > 0 {
		s.Warnf("%s of the general text %s longer than the context of %d tokens, and %s left out",
			english.Plural(cut, "passage", ""), english.PluralWord(cut, "is", "are"), limit, english.PluralWord(cut, "its end is", "their ends are"))
	}
	return passages, err
}

// variant measures a model in a context of its own.
func (c *comparer) variant(ctx context.Context, v *compared) (m comparison.Measured, err error) {
	if err := v.open(c.session); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, v.close()) }()
	own, err := v.session.model.NewContext(c.size)
	if err != nil {
		return m, modelError(err)
	}
	defer func() { err = errors.Join(err, own.Close()) }()
	if err := own.SetAdapters(v.adapters); err != nil {
		return m, modelError(err)
	}
	return c.measure(ctx, v, own)
}

func (c *comparer) measure(ctx context.Context, v *compared, own *llama.Context) (comparison.Measured, error) {
	m := comparison.Measured{Name: v.name, Path: v.path, Kind: v.kind}
	for _, part := range []func(context.Context, *comparison.Measured, *llama.Context) error{c.losses, c.gaps, c.answers, c.general} {
		if err := part(ctx, &m, own); err != nil {
			return m, modelError(err)
		}
	}
	var nats float64
	tokens := 0
	for _, s := range m.Samples {
		nats, tokens = nats+s.Nats, tokens+s.Tokens
	}
	return m, c.s.Event("measured", map[string]any{"name": m.Name, "path": m.Path, "kind": m.Kind, "samples": len(m.Samples),
		"tokens": tokens, "loss": nats / float64(tokens), "gaps": len(m.Gaps), "answers": len(m.Answers), "passages": len(m.Passages)})
}

// progress shows n of something under a bar.
func (c *comparer) progress(n int, what, name, unit string) (set func(int), finish func()) {
	bar := ui.NewProgress(c.s, int64(n), what+", "+name, unit)
	return func(n int) { bar.Set(int64(n)) }, bar.Finish
}

func (c *comparer) losses(ctx context.Context, m *comparison.Measured, own *llama.Context) error {
	set, finish := c.progress(len(c.samples), "loss", m.Name, "samples")
	defer finish()
	losses, err := evaluate.MeasureLosses(ctx, own, c.samples, set)
	for i, l := range losses {
		if l.Tokens > 0 {
			m.Samples = append(m.Samples, comparison.Sample{Where: c.samples[i].Where(), Tokens: l.Tokens, Bytes: l.Bytes, Nats: l.Nats})
		}
	}
	return err
}

func (c *comparer) gaps(ctx context.Context, m *comparison.Measured, own *llama.Context) error {
	n := min(c.o.fimSamples, evaluate.HasFIM(own.Model().Vocab(), c.samples))
	if n == 0 {
		return nil
	}
	set, finish := c.progress(n, "gaps", m.Name, "gaps")
	defer finish()
	filled, err := evaluate.FillGaps(ctx, own, c.samples, n, set)
	for _, g := range filled {
		m.Gaps = append(m.Gaps, comparison.Gap{Where: g.Where, Language: c.languages[g.Where], Exact: g.Exact, Similarity: g.Similarity})
	}
	return err
}

// answers has the model continue chats and texts; gaps were filled already.
func (c *comparer) answers(ctx context.Context, m *comparison.Measured, own *llama.Context) error {
	if c.o.generations == 0 {
		return nil
	}
	chats := evaluate.WithoutFIM(own.Model().Vocab(), c.samples)
	set, finish := c.progress(min(c.o.generations, len(chats)), "answers", m.Name, "answers")
	defer finish()
	answers, err := evaluate.Answers(ctx, own, chats, c.o.generations, c.o.predict)
	for i, a := range answers {
		set(i + 1)
		m.Answers = append(m.Answers, comparison.Answer{Where: a.Where, Prompt: a.Prompt, Reference: a.Reference, Text: a.Text,
			Similarity: evaluate.EditSimilarity(a.Text, a.Reference)})
	}
	return err
}

func (c *comparer) general(ctx context.Context, m *comparison.Measured, own *llama.Context) error {
	if len(c.passages) == 0 {
		return nil
	}
	set, finish := c.progress(len(c.passages), "general text", m.Name, "passages")
	defer finish()
	drifts, err := evaluate.MeasureDrift(ctx, c.base, own, c.passages, set)
	for _, d := range drifts {
		m.Passages = append(m.Passages, comparison.Passage{Tokens: d.Tokens, Nats: d.Nats, KL: d.KL, Same: d.Same})
	}
	return err
}
