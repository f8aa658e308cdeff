package chatlog

import (
	"context"
	"fmt"

	"github.com/qlora/qlora/internal/prep"
)

// Options say what to convert and how.
type Options struct {
	Source      string            // folder searched for *.jsonl, or one file
	Out         string            // file to write
	Sidechains  bool              // sub-agents' sessions become conversations of their own
	Summaries   bool              // a compaction's summary opens the conversation after it
	ResultLimit int               // bytes kept of a tool result; 0: all
	System      string            // system message for every conversation; "": none
	Total       func(int64)       // told the bytes to come, before the first is read; may be nil
	Progress    func(bytes int64) // told the bytes that were read; may be nil
}

// Report says what was read, written and left out.
type Report struct {
	Files         int            `json:"files"`
	Lines         int            `json:"lines"`
	Bytes         int64          `json:"bytes"`
	Conversations int            `json:"conversations"`
	Messages      int            `json:"messages"`
	Replies       int            `json:"replies"` // assistant messages that loss falls on
	Calls         int            `json:"tool_calls"`
	Types         prep.Tally     `json:"record_types"`
	Dropped       prep.Tally     `json:"dropped"` // left out, by reason
	Held          prep.Tally     `json:"held"`    // replies kept as context without loss, by reason
	Skipped       int            `json:"skipped_lines"`
	Problems      []prep.Problem `json:"problems"` // the first of the skipped lines
	Out           string         `json:"out"`
	OutBytes      int64          `json:"out_bytes"`
	SHA256        string         `json:"sha256"`
}

// maxProblems bounds the list in a report; Skipped has the full count.
const maxProblems = 100

// ErrNothing is wrapped by the error of Convert when the source holds no
// conversation at all.
var ErrNothing = fmt.Errorf("no conversation found")

// Convert reads every session under o.Source and writes the conversations to
// o.Out, which appears only when all went well. The files are read twice: once
// to find out which share history, once to write.
func Convert(ctx context.Context, o Options) (*Report, error) {
	sources, err := findSources(o.Source, o.Out)
	if err != nil {
		return nil, err
	}
	report := &Report{Files: len(sources), Types: prep.Tally{}, Dropped: prep.Tally{}, Held: prep.Tally{}, Out: o.Out}
	for _, src := range sources {
		report.Bytes += src.size
	}
	if o.Total != nil {
		o.Total(2 * report.Bytes)
	}
	own := newOwners()
	for i, src := range sources {
		rd, err := read(ctx, src, o.Progress)
		if err != nil {
			return nil, err
		}
		own.add(i, rd.session, rd.session.segments(o.Sidechains))
	}
	return report, write(ctx, o, sources, own, report)
}

func write(ctx context.Context, o Options, sources []source, own *owners, report *Report) error {
	out, err := prep.Create(o.Out)
	if err != nil {
		return err
	}
	defer out.Abort()
	for i, src := range sources {
		rd, err := read(ctx, src, o.Progress)
		if err != nil {
			return err
		}
		report.note(rd)
		for _, c := range convertSession(o, i, rd.session, own, report) {
			if err := out.WriteJSON(c); err != nil {
				return err
			}
			report.count(c)
		}
	}
	if report.Conversations == 0 {
		return fmt.Errorf("%w in %s (%d files, %d lines)", ErrNothing, o.Source, report.Files, report.Lines)
	}
	report.OutBytes, report.SHA256 = out.Size(), out.SHA256()
	if err := ctx.Err(); err != nil {
		return err
	}
	return out.Commit()
}

// note adds what reading one file showed.
func (rep *Report) note(rd *reading) {
	rep.Lines += rd.lines
	rep.Types.Merge(rd.types)
	rep.Dropped.Merge(rd.reasons)
	rep.Dropped.Add(reasonCopy, rd.session.copies)
	rep.Dropped.Add(reasonCycle, rd.session.cycles)
	rep.Skipped += len(rd.problems)
	room := maxProblems - len(rep.Problems)
	rep.Problems = append(rep.Problems, rd.problems[:min(room, len(rd.problems))]...)
}

// count adds a conversation that was written.
func (rep *Report) count(c *Conversation) {
	rep.Conversations++
	rep.Messages += len(c.Messages)
	rep.Replies += c.trainedReplies()
	for _, m := range c.Messages {
		rep.Calls += len(m.ToolCalls)
		if m.heldFor != "" {
			rep.Held.Add(m.heldFor, 1)
		}
	}
}
