package show

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize/english"
)

// cut says how much of a long text is shown: so many lines from its start and
// its end, and so many characters of a line.
type cut struct{ head, tail, line int }

var (
	ofMessage = cut{30, 10, 1000}
	ofResult  = cut{6, 3, 300}
	ofPrefix  = cut{0, 20, 300}
	ofSuffix  = cut{12, 0, 300}
	whole     = cut{}
)

// apply returns the lines of text, with a note in place of those left out.
func (c cut) apply(text string) []shownLine {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var out []shownLine
	if c == whole || len(lines) <= c.head+c.tail+1 {
		return c.lines(out, lines)
	}
	out = c.lines(out, lines[:c.head])
	left := lines[c.head : len(lines)-c.tail]
	chars := len(left) // their line ends
	for _, l := range left {
		chars += utf8.RuneCountInString(l)
	}
	out = append(out, shownLine{note: true, text: fmt.Sprintf("... %s, %s ...",
		english.Plural(len(left), "line", ""), english.Plural(chars, "character", ""))})
	return c.lines(out, lines[len(lines)-c.tail:])
}

// shownLine is a line of a text, or a note about what is not shown.
type shownLine struct {
	text string
	note bool
}

func (c cut) lines(out []shownLine, lines []string) []shownLine {
	for _, l := range lines {
		l = clean(strings.TrimSuffix(l, "\r"))
		if n := utf8.RuneCountInString(l); c.line > 0 && n > c.line {
			r := []rune(l)
			l = fmt.Sprintf("%s ... %s ...", string(r[:c.line]), english.Plural(n-c.line, "character", ""))
		}
		out = append(out, shownLine{text: l})
	}
	return out
}
