package show

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ui"
)

// The marks around what is trained in running text.
const (
	openMark  = "[["
	closeMark = "]]"
)

// fim prints the file around the hole, and in it the middle between marks.
// Lines that hold a part of the middle have the mark of training.
func (p *printer) fim(r *dataset.Record) {
	for _, f := range r.Context() {
		p.heading(fmt.Sprintf("context %s, %s", f.Path, english.Plural(lineCount(f.Content), "line", "")), ui.Dim)
	}
	prefix, middle, suffix := r.Field("prefix"), r.Field("middle"), r.Field("suffix")
	p.heading(fmt.Sprintf("hole of %s, %s", english.Plural(lineCount(middle), "line", ""), english.Plural(len(middle), "byte", "")), ui.Green)

	before, open := cutLast(prefix)
	rest, after := cutFirst(suffix)
	if before != "" {
		p.lines(p.limit(ofPrefix).apply(before), false, "", ui.Dim)
	}
	lines := p.limit(ofMessage).apply(middle + "\n") // keeps a blank line at its end
	last := len(lines) - 1
	for i, l := range lines {
		h := holeLine{text: l.text, note: l.note}
		if i == 0 {
			h.before, h.open = clean(open), true
		}
		if i == last {
			h.after, h.close = clean(rest), true
		}
		p.holeLine(h)
	}
	if after != "" {
		p.lines(p.limit(ofSuffix).apply(after), false, "", ui.Dim)
	}
}

// lineCount counts the lines of text, the last one ended or not.
func lineCount(text string) int {
	return strings.Count(strings.TrimSuffix(text, "\n"), "\n") + 1
}

// cutLast divides text before its last line.
func cutLast(text string) (before, last string) {
	at := strings.LastIndexByte(text, '\n') + 1
	return text[:at], text[at:]
}

// cutFirst divides text after its first line, without the line end.
func cutFirst(text string) (first, after string) {
	first, after, _ = strings.Cut(text, "\n")
	return first, after
}

// holeLine is a line of the middle, with what stands beside it in the file.
type holeLine struct {
	before, text, after string
	open, close, note   bool
}

func (p *printer) holeLine(h holeLine) {
	if h.note {
		p.lines([]shownLine{{h.text, true}}, true, "", "")
		return
	}
	if h.open {
		h.text = openMark + h.text
	}
	if h.close {
		h.text += closeMark
	}
	start, end := len(h.before), len(h.before)+len(h.text)
	at := 0
	for _, piece := range wrap(h.before+h.text+h.after, p.room("")) {
		at += strings.Index((h.before + h.text + h.after)[at:], piece)
		p.b.WriteString(p.gutter(true) + p.paintPart(piece, start-at, end-at) + "\n")
		at += len(piece)
	}
}

// paintPart paints text from start to end as trained, and the rest as context.
func (p *printer) paintPart(text string, start, end int) string {
	start, end = min(max(start, 0), len(text)), min(max(end, 0), len(text))
	return p.paint.Paint(ui.Dim, text[:start]) + p.paint.Paint(ui.Green, text[start:end]) + p.paint.Paint(ui.Dim, text[end:])
}
