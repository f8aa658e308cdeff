package show

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ui"
)

// Style is what the output can show.
type Style struct {
	Width int  // columns to wrap at; 0 does not wrap
	Color bool // escape sequences
	ASCII bool // no other characters of ours than ASCII
	Full  bool // shorten nothing
}

// View is a record with what training makes of it.
type View struct {
	Picked
	Record   *dataset.Record
	Sequence *dataset.Sequence // nil without a model
}

// Trained are the messages of a chat that carry loss.
func (v *View) Trained() []int {
	if v.Sequence != nil {
		return v.Sequence.Turns
	}
	return v.Record.TrainedTurns(dataset.LossAssistant)
}

// Render prints a record for a person to read.
func Render(v *View, s Style) string {
	p := &printer{s: s, paint: &ui.Streams{Color: s.Color}}
	p.header(v)
	switch {
	case v.Record.Messages() != nil:
		p.chat(v)
	case v.Record.Kind == dataset.KindFIM:
		p.fim(v.Record)
	case v.Record.Kind == dataset.KindText:
		p.block("text", ui.Green, v.Record.Field("text"), p.limit(ofMessage), true)
	default:
		p.block("prompt", ui.Cyan, v.Record.Field("prompt"), p.limit(ofMessage), false)
		p.block("completion", ui.Green, v.Record.Field("completion"), p.limit(ofMessage), true)
	}
	p.b.WriteByte('\n')
	return p.b.String()
}

type printer struct {
	b     strings.Builder
	s     Style
	paint *ui.Streams
}

func (p *printer) limit(c cut) cut {
	if p.s.Full {
		return whole
	}
	return c
}

// labels are the fields that say where a record comes from.
var labels = []string{"source", "session", "repo", "path", "lang", "span_kind", "group", "license"}

func (p *printer) header(v *View) {
	title := fmt.Sprintf("%s:%d  record %d, %s", clean(v.File), v.Line, v.Index, v.Record.Kind)
	if q := v.Sequence; q != nil {
		title += fmt.Sprintf(", %s, %s trained", english.Plural(len(q.Tokens), "token", ""), humanize.Comma(int64(q.Trained())))
	}
	p.b.WriteString(p.paint.Paint(ui.Bold, title) + "\n")
	var parts []string
	for _, key := range labels {
		if text := v.Record.Field(key); text != "" {
			parts = append(parts, key+" "+clean(text))
		}
	}
	if tools := v.Record.Tools(); len(tools) > 0 {
		parts = append(parts, "tools "+clean(strings.Join(tools, " ")))
	}
	for _, line := range wrap(strings.Join(parts, ", "), p.s.Width) {
		if line != "" {
			p.b.WriteString(p.paint.Paint(ui.Dim, line) + "\n")
		}
	}
	if q := v.Sequence; q != nil && q.LostCalls > 0 {
		fmt.Fprintf(&p.b, "note: the chat template leaves out the tool calls of %s\n", english.Plural(q.LostCalls, "turn", ""))
	}
}

// roleStyles colour the heading of a message.
var roleStyles = map[string]ui.Style{"system": ui.Yellow, "user": ui.Cyan, "assistant": ui.Green, "tool": ui.Dim}

func (p *printer) chat(v *View) {
	trained := v.Trained()
	for i, m := range v.Record.Messages() {
		p.message(m, slices.Contains(trained, i))
	}
}

func (p *printer) message(m dataset.Message, trained bool) {
	heading := m.Role
	if m.Name != "" {
		heading += " " + m.Name
	}
	style, known := roleStyles[m.Role]
	if !known {
		style = ui.Bold
	}
	if m.Role == "assistant" && !trained {
		heading += ", not trained"
	}
	limit := ofMessage
	if m.Role == "tool" {
		limit = ofResult
	}
	p.heading(heading, style)
	if m.Reasoning != "" {
		p.lines(p.limit(ofResult).apply(m.Reasoning), false, "    ", ui.Dim)
	}
	if m.Content != "" {
		p.lines(p.limit(limit).apply(m.Content), trained, indentOf(m.Role), textStyle(m.Role))
	}
	for _, c := range m.Calls {
		p.call(c, trained)
	}
}

// indentOf sets results apart from what is said.
func indentOf(role string) string {
	if role == "tool" {
		return "  "
	}
	return ""
}

func textStyle(role string) ui.Style {
	if role == "tool" {
		return ui.Dim
	}
	return ""
}

func (p *printer) call(c dataset.Call, trained bool) {
	lines := p.limit(ofResult).apply(c.Arguments)
	lines[0].text = "call " + clean(c.Name) + " " + lines[0].text
	p.lines(lines, trained, "  ", ui.Cyan)
}

// block is a heading and text below it.
func (p *printer) block(heading string, style ui.Style, text string, limit cut, trained bool) {
	p.heading(heading, style)
	p.lines(limit.apply(text), trained, "", "")
}

func (p *printer) heading(text string, style ui.Style) {
	p.b.WriteString(p.paint.Paint(style, clean(text)) + "\n")
}

// gutter marks the lines that are trained.
func (p *printer) gutter(trained bool) string {
	switch {
	case !trained:
		return "  "
	case p.s.ASCII:
		return p.paint.Paint(ui.Green, "|") + " "
	}
	return p.paint.Paint(ui.Green, "▌") + " "
}

func (p *printer) lines(lines []shownLine, trained bool, indent string, style ui.Style) {
	for _, l := range lines {
		if l.note {
			p.b.WriteString("  " + indent + p.paint.Paint(ui.Yellow, l.text) + "\n")
			continue
		}
		for _, piece := range wrap(l.text, p.room(indent)) {
			line := p.gutter(trained) + indent + p.styled(style, piece)
			p.b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
}

// room is the columns beside gutter and indent.
func (p *printer) room(indent string) int {
	if p.s.Width == 0 {
		return 0
	}
	return max(10, p.s.Width-2-len(indent))
}

func (p *printer) styled(style ui.Style, text string) string {
	if style == "" {
		return text
	}
	return p.paint.Paint(style, text)
}
