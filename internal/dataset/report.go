package dataset

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
)

// maxListed is how many skipped lines a report names; the others are counted.
const maxListed = 20

// Report says what Load made of its files.
type Report struct {
	Files    []FileReport `json:"files"`
	Samples  int          `json:"samples"`
	Tokens   int64        `json:"tokens"`
	Trained  int64        `json:"trained_tokens"`
	Longest  int          `json:"longest_sample"` // in tokens
	Template string       `json:"chat_template,omitempty"`
	// Dated is set when the chat template printed the date, so that the same
	// data has other tokens on another day.
	Dated      bool             `json:"chat_template_prints_date"`
	Loss       Loss             `json:"loss"`
	OverLength OverLengthReport `json:"over_length"`
	// Untrained counts records that were left out because no token of theirs
	// carries loss.
	Untrained int `json:"untrained_records"`
	// OpenTurns counts assistant turns that the template closes with no end
	// token: a model trained on them does not learn to stop.
	OpenTurns int `json:"turns_without_end"`
	// LostCalls counts assistant turns whose tool calls the template leaves
	// out. Those that say nothing else are not trained on.
	LostCalls int `json:"turns_without_calls"`
	// LostContexts counts FIM records whose context files are left out because
	// models of this family were not trained with any.
	LostContexts int           `json:"fim_without_context"`
	SkippedLines int           `json:"skipped_lines"`
	Skipped      []SkippedLine `json:"skipped,omitempty"` // the first few
}

// FileReport is the part of one source in a Report.
type FileReport struct {
	Path    string       `json:"path"`
	Weight  float64      `json:"weight"`
	Kind    Kind         `json:"kind"`  // of all records, or KindMixed
	Kinds   map[Kind]int `json:"kinds"` // records of each kind
	Records int          `json:"records"`
	Samples int          `json:"samples"`
	Tokens  int64        `json:"tokens"`
	Trained int64        `json:"trained_tokens"`
	Skipped int          `json:"skipped_lines"`
}

// note counts a record of kind k.
func (f *FileReport) note(k Kind) {
	if f.Kinds == nil {
		f.Kinds = map[Kind]int{}
	}
	f.Kinds[k]++
	f.Kind = k
	if len(f.Kinds) > 1 {
		f.Kind = KindMixed
	}
}

// hasChats reports records that need a chat template.
func (f FileReport) hasChats() bool {
	for k := range f.Kinds {
		if k.isChat() {
			return true
		}
	}
	return false
}

// kinds is "messages", or "mixed (fim 300, messages 12)".
func (f FileReport) kinds() string {
	if len(f.Kinds) == 0 {
		return "no usable record"
	}
	if f.Kind != KindMixed {
		return string(f.Kind)
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(f.Kinds)) {
		parts = append(parts, fmt.Sprintf("%s %s", k, number(f.Kinds[k])))
	}
	return fmt.Sprintf("%s (%s)", f.Kind, strings.Join(parts, ", "))
}

// OverLengthReport says what became of records longer than Limit tokens.
type OverLengthReport struct {
	Limit     int        `json:"limit"`
	Policy    OverLength `json:"policy"`
	Records   int        `json:"records"`
	Longest   int        `json:"longest_record"` // of them, in tokens as it was
	Dropped   int        `json:"dropped"`
	Truncated int        `json:"truncated"`
	Split     int        `json:"split"`
	Pieces    int        `json:"pieces"` // samples made of the split records
	Lost      int64      `json:"lost_tokens"`
}

// SkippedLine is a line that did not become a sample.
type SkippedLine struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// MaskedShare is the share of tokens that carry no loss, from 0 to 1.
func (r *Report) MaskedShare() float64 {
	if r.Tokens == 0 {
		return 0
	}
	return 1 - float64(r.Trained)/float64(r.Tokens)
}

func (r *Report) skip(file *FileReport, line int, err error) {
	file.Skipped++
	r.SkippedLines++
	if len(r.Skipped) < maxListed {
		r.Skipped = append(r.Skipped, SkippedLine{file.Path, line, err.Error()})
	}
}

func (r *Report) count(file *FileReport, out outcome) {
	file.Records++
	r.OpenTurns += out.turns.open
	r.LostCalls += out.turns.lostCalls
	r.LostContexts += out.turns.lostContext
	if !out.over {
		return
	}
	o := &r.OverLength
	o.Records++
	o.Longest = max(o.Longest, out.length)
	o.Lost += int64(out.lost)
	switch {
	case len(out.samples) == 0:
		o.Dropped++
	case o.Policy == OverSplit:
		o.Split++
		o.Pieces += len(out.samples)
	default:
		o.Truncated++
	}
}

// Write prints the report for people, but for its warnings.
func (r *Report) Write(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Files {
		fmt.Fprintf(&b, "data: %s: %s, %s, %s", f.Path, f.kinds(), english.Plural(f.Samples, "sample", ""), english.Plural(int(f.Tokens), "token", ""))
		if f.Weight != 1 {
			fmt.Fprintf(&b, ", weight %g", f.Weight)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "samples %s, tokens %s, trained %s (loss on %s), masked %.1f %%, longest %s\n",
		number(r.Samples), number(r.Tokens), number(r.Trained), r.Loss, 100*r.MaskedShare(), number(r.Longest))
	if r.Template != "" {
		fmt.Fprintf(&b, "chat template: %s\n", r.Template)
	}
	r.writeOverLength(&b)
	r.writeNotes(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeOverLength(b *strings.Builder) {
	o := r.OverLength
	fmt.Fprintf(b, "over-length (more than %s tokens): %s", number(o.Limit), number(o.Records))
	if o.Records == 0 {
		b.WriteByte('\n')
		return
	}
	fmt.Fprintf(b, ", up to %s tokens", number(o.Longest))
	for _, part := range []struct {
		n    int
		what string
	}{{o.Dropped, "dropped"}, {o.Truncated, "truncated"}, {o.Split, "split"}} {
		if part.n > 0 {
			fmt.Fprintf(b, ", %s %s", number(part.n), part.what)
		}
	}
	if o.Pieces > 0 {
		fmt.Fprintf(b, " into %s", english.Plural(o.Pieces, "sample", ""))
	}
	fmt.Fprintf(b, ", %s lost\n", english.Plural(int(o.Lost), "token", ""))
}

// Warnings are what a training on the data will suffer from, a line each.
func (r *Report) Warnings() (all []string) {
	if r.OpenTurns > 0 {
		all = append(all, fmt.Sprintf("%s %s without an end token: the model will not learn to stop",
			english.Plural(r.OpenTurns, "assistant turn", ""), english.PluralWord(r.OpenTurns, "ends", "end")))
	}
	if r.LostCalls > 0 {
		text := "the chat template leaves out the tool calls of " + english.Plural(r.LostCalls, "assistant turn", "")
		if r.Loss != LossAll {
			text += "; those that say nothing else are not trained on"
		}
		all = append(all, text)
	}
	return all
}

func (r *Report) writeNotes(b *strings.Builder) {
	if r.Untrained > 0 {
		fmt.Fprintf(b, "left out: %s without a token to train on\n", english.Plural(r.Untrained, "record", ""))
	}
	if r.LostContexts > 0 {
		fmt.Fprintf(b, "note: %s %s context files, for which the model has no tokens\n",
			english.Plural(r.LostContexts, "fill-in-the-middle record", ""), english.PluralWord(r.LostContexts, "loses its", "lose their"))
	}
	if r.Dated {
		b.WriteString("note: the chat template prints the date, so tokens differ from day to day\n")
	}
	if r.SkippedLines == 0 {
		return
	}
	fmt.Fprintf(b, "skipped %s:\n", english.Plural(r.SkippedLines, "line", ""))
	for _, s := range r.Skipped {
		fmt.Fprintf(b, "  %s:%d: %s\n", s.File, s.Line, s.Reason)
	}
	if more := r.SkippedLines - len(r.Skipped); more > 0 {
		fmt.Fprintf(b, "  and %s more\n", number(more))
	}
}

func number[T int | int64](n T) string { return humanize.Comma(int64(n)) }
