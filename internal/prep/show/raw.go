package show

import (
	"strings"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ui"
)

// Run is a stretch of tokens that are trained, or are not.
type Run struct {
	Text    string `json:"text"`
	Tokens  int    `json:"tokens"`
	Trained bool   `json:"trained"`
}

// Runs cut a sequence where training begins and ends. Decode gives the text of
// tokens, with control tokens as they are spelled.
func Runs(q *dataset.Sequence, decode func([]int32) string) []Run {
	var out []Run
	for start := 0; start < len(q.Tokens); {
		end := start
		for end < len(q.Tokens) && q.Train[end] == q.Train[start] {
			end++
		}
		out = append(out, Run{Text: decode(q.Tokens[start:end]), Tokens: end - start, Trained: q.Train[start]})
		start = end
	}
	return out
}

// RenderRaw prints a record as the model reads it, control tokens spelled, with
// what is trained between marks.
func RenderRaw(v *View, runs []Run, s Style) string {
	p := &printer{s: s, paint: &ui.Streams{Color: s.Color}}
	p.header(v)
	for _, r := range runs {
		style, text := ui.Dim, r.Text
		if r.Trained {
			style, text = ui.Green, openMark+text+closeMark
		}
		for i, line := range strings.Split(text, "\n") {
			if i > 0 {
				p.b.WriteByte('\n')
			}
			p.b.WriteString(p.paint.Paint(style, clean(line)))
		}
	}
	p.b.WriteString("\n\n")
	return p.b.String()
}
