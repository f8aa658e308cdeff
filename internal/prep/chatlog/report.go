package chatlog

import (
	"errors"
	"fmt"

	"github.com/qlora/qlora/internal/prep"
)

// Report says what was read, written and left out. That of a part of the work
// counts what the part converted.
type Report struct {
	Files         int            `json:"files"`
	Kinds         prep.Tally     `json:"kinds"`       // files by what they hold
	Others        int            `json:"other_files"` // without conversations
	Lines         int            `json:"lines"`
	Bytes         int64          `json:"bytes"`
	Conversations int            `json:"conversations"`
	Records       int            `json:"records"` // lines written; one a conversation in most formats
	Messages      int            `json:"messages"`
	Replies       int            `json:"replies"` // assistant messages that loss falls on
	Calls         int            `json:"tool_calls"`
	Types         prep.Tally     `json:"record_types"`
	Dropped       prep.Tally     `json:"dropped"`  // left out, by reason
	Held          prep.Tally     `json:"held"`     // replies kept as context without loss, by reason
	Redacted      map[string]int `json:"redacted"` // secrets, by rule
	Skipped       int            `json:"skipped_lines"`
	Problems      []prep.Problem `json:"problems"` // the first of the skipped lines
	Out           string         `json:"out"`
	OutBytes      int64          `json:"out_bytes"`
	SHA256        string         `json:"sha256"`
}

// maxProblems bounds the list in a report; Skipped has the full count.
const maxProblems = 100

// ErrNothing is wrapped by the error of Convert when the sources hold no
// conversation at all.
var ErrNothing = errors.New("no conversation found")

// ErrStrict is wrapped by the error that ends a strict run.
var ErrStrict = errors.New("input cannot be read")

func newReport() *Report {
	return &Report{
		Kinds: prep.Tally{}, Types: prep.Tally{}, Dropped: prep.Tally{}, Held: prep.Tally{}, Redacted: map[string]int{},
	}
}

// note adds what reading one piece showed.
func (rep *Report) note(rd *reading) {
	rep.Lines += rd.lines
	rep.Types.Merge(rd.types)
	rep.Dropped.Merge(rd.reasons)
	for _, s := range rd.sessions {
		rep.Dropped.Add(reasonCopy, s.copies)
		rep.Dropped.Add(reasonCycle, s.cycles)
	}
	rep.problems(rd.problems, len(rd.problems))
}

func (rep *Report) problems(list []prep.Problem, total int) {
	rep.Skipped += total
	room := maxProblems - len(rep.Problems)
	rep.Problems = append(rep.Problems, list[:min(room, len(list))]...)
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

// merge adds the report of a piece.
func (rep *Report) merge(o *Report) {
	rep.Lines += o.Lines
	rep.Conversations += o.Conversations
	rep.Records += o.Records
	rep.Messages += o.Messages
	rep.Replies += o.Replies
	rep.Calls += o.Calls
	rep.Types.Merge(o.Types)
	rep.Dropped.Merge(o.Dropped)
	rep.Held.Merge(o.Held)
	rep.redact(o.Redacted)
	rep.problems(o.Problems, o.Skipped)
}

// redact adds what was redacted, by rule.
func (rep *Report) redact(found map[string]int) {
	for rule, n := range found {
		rep.Redacted[rule] += n
	}
}

// strict is the error that the first of some problems makes of a strict run.
func strict(problems []prep.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrStrict, problems[0])
}
