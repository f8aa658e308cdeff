package chatlog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/shard"
)

// converter is the state of one run.
type converter struct {
	o       Options
	in      *inputs
	own     *owners
	given   []tool          // of the options
	learnt  map[string]tool // from the calls of the input
	cleaned cleanedTools
	report  *Report
	barLock sync.Mutex
}

// Convert reads everything under o.Sources and writes the conversations to
// o.Out, which appears only when all went well. The input is read twice: once
// to find out which files share history and what tools there are, once to
// write. A part of the work surveys all and converts its own.
func Convert(ctx context.Context, o Options) (*Report, error) {
	c := &converter{o: o.withDefaults(), own: newOwners(), report: newReport()}
	c.given, c.cleaned.seen = c.o.tools(), map[string]cleanedTool{}
	var err error
	if c.in, err = findSources(ctx, o.Sources, o.Out); err != nil {
		return nil, err
	}
	c.describe()
	if o.Strict && len(c.in.problems) > 0 {
		return nil, strict(c.in.problems)
	}
	if err := c.survey(ctx); err != nil {
		return nil, err
	}
	return c.report, c.write(ctx)
}

// describe starts the report.
func (c *converter) describe() {
	rep := c.report
	rep.Files, rep.Others, rep.Out = len(c.in.sources), c.in.others, c.o.Out
	for _, src := range c.in.sources {
		rep.Files += len(src.replies)
		for _, file := range append([]source{src}, src.replies...) {
			rep.Bytes += file.size
			rep.Kinds.Add(string(file.kind), 1)
		}
	}
	if c.first() {
		rep.problems(c.in.problems, len(c.in.problems))
		for _, p := range c.in.problems {
			reason, _, _ := strings.Cut(p.Reason, ":")
			rep.Dropped.Add(reason, 1)
		}
		rep.Dropped.Add(reasonLink, c.in.links)
		rep.Dropped.Add(reasonTwin, c.in.twins)
	}
	if c.o.Total != nil {
		c.o.Total(2 * rep.Bytes)
	}
}

// progress passes the bytes that were read on, one caller at a time.
func (c *converter) progress(n int64) {
	if c.o.Progress != nil {
		c.barLock.Lock()
		defer c.barLock.Unlock()
		c.o.Progress(n)
	}
}

func (c *converter) margin() int {
	if c.o.Cleaner == nil {
		return 0
	}
	return redactMargin
}

// parsers makes one parser for each worker.
func (c *converter) parsers(survey bool) []*parser {
	var out []*parser
	for range c.o.Workers {
		out = append(out, newParser(&c.o, survey))
	}
	return out
}

// learned is what the survey took from one task.
type learned struct {
	unit     uint64
	sessions []survey
	problems []prep.Problem
}

// survey reads everything for the first time.
func (c *converter) survey(ctx context.Context) error {
	parsers := c.parsers(true)
	feed := func(ctx context.Context, emit func(job[learned]) bool) error {
		f := &feeder{ctx: ctx, progress: c.progress, emit: func(t task) bool {
			return emit(func(worker int) (learned, error) { return c.learn(t, parsers[worker]) })
		}}
		return f.all(c.in.sources)
	}
	err := inOrder(ctx, c.o.Workers, feed, func(l learned) error {
		for i, s := range l.sessions {
			c.own.add(l.unit+uint64(i), s)
		}
		if c.o.Strict {
			return strict(l.problems)
		}
		return nil
	})
	if err != nil {
		return err
	}
	box := newToolbox()
	for _, p := range parsers {
		box.merge(p.tools)
	}
	c.learnt = box.declarations()
	return nil
}

func (c *converter) learn(t task, p *parser) (learned, error) {
	rd, err := t.load(p)
	if err != nil {
		return learned{}, err
	}
	out := learned{unit: t.unit, problems: rd.problems}
	for _, s := range rd.sessions {
		out.sessions = append(out.sessions, s.survey(c.o.Sidechains))
	}
	return out, nil
}

// written is what one task adds to the output.
type written struct {
	records []keyed
	report  *Report
}

type keyed struct {
	key  shard.Key
	line json.RawMessage
}

// write reads everything again and converts it.
func (c *converter) write(ctx context.Context) error {
	hash, err := c.o.identity(c.in)
	if err != nil {
		return err
	}
	out, err := shard.NewWriter(c.o.Out, shard.Header{Command: "logs2sft", Rules: c.o.rules(), Spec: c.o.Shard, Options: hash})
	if err != nil {
		return err
	}
	defer out.Abort()
	parsers := c.parsers(false)
	feed := func(ctx context.Context, emit func(job[written]) bool) error {
		f := &feeder{ctx: ctx, progress: c.progress, emit: func(t task) bool {
			if c.passes(t) {
				return true
			}
			return emit(func(worker int) (written, error) { return c.convert(t, parsers[worker]) })
		}}
		return f.all(c.in.sources)
	}
	err = inOrder(ctx, c.o.Workers, feed, func(w written) error {
		c.report.merge(w.report)
		for _, r := range w.records {
			if err := out.Write(r.key, r.line); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.commit(ctx, out)
}

// alone tells that a source is one session, which a part converts as a whole.
// The conversations of larger files are shared out one by one.
func (src source) alone() bool { return src.kind == kindCode || src.kind == kindStream }

// passes tells whether a whole file belongs to another part.
func (c *converter) passes(t task) bool { return t.source.alone() && !c.o.Shard.Owns(t.source.name) }

// owns tells whether the session numbered unit is converted by this part.
func (c *converter) owns(t task, unit uint64) bool {
	return t.source.alone() || c.o.Shard.Owns(fmt.Sprintf("%s#%d", t.source.name, uint32(unit)))
}

// first tells whether this part reports what all parts see.
func (c *converter) first() bool { return c.o.Shard.Index <= 1 }

// counts tells whether this part reports what reading the task showed: all
// parts read the larger files, so the first one does.
func (c *converter) counts(t task) bool { return t.source.alone() || c.first() }

func (c *converter) convert(t task, p *parser) (written, error) {
	rd, err := t.load(p)
	if err != nil {
		return written{}, err
	}
	out := written{report: newReport()}
	if c.counts(t) {
		out.report.note(rd)
	}
	for i, s := range rd.sessions {
		unit := t.unit + uint64(i)
		if !c.owns(t, unit) {
			continue
		}
		for _, talk := range c.convertSession(unit, s, out.report) {
			key := shard.Key{Order: fmt.Sprintf("%016x.%08d.%08d", unit, talk.Segment, talk.Window)}
			lines := c.encode(talk, out.report)
			for _, line := range lines {
				out.records = append(out.records, keyed{key, line})
			}
			if len(lines) > 0 {
				out.report.count(talk)
			}
		}
	}
	out.report.Records = len(out.records)
	return out, nil
}

// commit gives the output its name.
func (c *converter) commit(ctx context.Context, out *shard.Writer) error {
	rep := c.report
	if rep.Records == 0 && c.o.Shard.Whole() {
		return fmt.Errorf("%w in %s (%s)", ErrNothing, count(rep.Files+rep.Others, "file"), count(rep.Lines, "line"))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	out.Drop(rep.Dropped)
	result, err := out.Commit()
	if err != nil {
		return err
	}
	rep.OutBytes, rep.SHA256 = result.Bytes, result.SHA256
	return nil
}
