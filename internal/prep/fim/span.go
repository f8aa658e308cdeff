package fim

import (
	"bytes"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kinds of span, as a record's span_kind names them.
const (
	KindLine      = "line"      // whole lines, without the last line's end
	KindChar      = "char"      // from any character to any other
	KindStatement = "statement" // one Go statement
	KindBlock     = "block"     // what stands between the braces of a Go block
	KindFunction  = "function"  // the body of a Go function, without its braces
)

// span is the middle of a record: src[start:end].
type span struct {
	start, end int
	kind       string
}

const (
	maxSpanLines = 10
	attempts     = 24 // random draws before a kind is given up
)

// picker draws the spans of one file.
type picker struct {
	src    []byte
	lang   string
	rng    *rand.Rand
	limit  int               // bytes of a span
	shares Shares            // how often each way of choosing is tried first
	lines  []int             // start of each line, and len(src)
	syntax map[string][]span // candidates by kind, nil when there are none
	taken  []span
}

func newPicker(src []byte, lang string, rng *rand.Rand, o Options) *picker {
	p := &picker{src: src, lang: lang, rng: rng, limit: o.MaxMiddle, shares: o.Shares, lines: []int{0}}
	for i, c := range src {
		if c == '\n' && i+1 < len(src) {
			p.lines = append(p.lines, i+1)
		}
	}
	p.lines = append(p.lines, len(src))
	if lang == "go" && o.Shares.Syntax > 0 {
		p.syntax = goSpans(src)
	}
	return p
}

// pick returns up to n spans that do not overlap, in order of place.
func (p *picker) pick(n int) []span {
	for range n {
		if s, ok := p.draw(); ok {
			p.taken = append(p.taken, s)
		}
	}
	sort.Slice(p.taken, func(i, j int) bool { return p.taken[i].start < p.taken[j].start })
	return p.taken
}

// draw chooses one span. When the way that the shares chose finds none, the
// simpler ones are tried.
func (p *picker) draw() (span, bool) {
	ways := []func() (span, bool){p.drawSyntax, p.drawLines, p.drawChars}
	u := p.rng.Float64() * p.shares.sum()
	first := 0
	switch {
	case u >= p.shares.Syntax+p.shares.Line:
		first = 2
	case u >= p.shares.Syntax:
		first = 1
	}
	for _, i := range []int{first, 1, 2} {
		if s, ok := ways[i](); ok {
			return s, true
		}
	}
	return span{}, false
}

func (p *picker) drawSyntax() (span, bool) {
	kinds := make([]string, 0, len(p.syntax))
	for kind := range p.syntax {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	if len(kinds) == 0 {
		return span{}, false
	}
	for range attempts {
		list := p.syntax[kinds[p.rng.IntN(len(kinds))]]
		if s := list[p.rng.IntN(len(list))]; p.usable(s) {
			return s, true
		}
	}
	return span{}, false
}

// drawLines takes up to ten whole lines. Comments alone are no completion
// worth learning in code.
func (p *picker) drawLines() (span, bool) {
	n := len(p.lines) - 1
	for range attempts {
		first := p.rng.IntN(n)
		count := 1 + p.rng.IntN(min(maxSpanLines, n-first))
		s := span{p.lines[first], p.lines[first+count], KindLine}
		s.end = s.start + len(bytes.TrimRight(p.src[s.start:s.end], "\r\n"))
		if p.usable(s) && !p.comments(s) {
			return s, true
		}
	}
	return span{}, false
}

// drawChars takes a run of characters; its length is drawn evenly on a
// logarithmic scale, so that short and long completions both occur.
func (p *picker) drawChars() (span, bool) {
	for range attempts {
		length := int(math.Exp(p.rng.Float64() * math.Log(float64(min(p.limit, len(p.src))))))
		start := p.runeStart(p.rng.IntN(len(p.src)))
		s := span{start, p.runeStart(min(start+max(length, 1), len(p.src))), KindChar}
		if p.usable(s) {
			return s, true
		}
	}
	return span{}, false
}

func (p *picker) runeStart(i int) int {
	for i > 0 && i < len(p.src) && !utf8.RuneStart(p.src[i]) {
		i--
	}
	return i
}

// usable tells whether s says something, is short enough and free.
func (p *picker) usable(s span) bool {
	if s.end-s.start > p.limit || s.end <= s.start {
		return false
	}
	for _, t := range p.taken {
		if s.start < t.end && t.start < s.end {
			return false
		}
	}
	return bytes.ContainsFunc(p.src[s.start:s.end], func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r)
	})
}

// proseLanguages have no comments to tell from code.
var proseLanguages = map[string]bool{"markdown": true, "restructuredtext": true, "tex": true}

func (p *picker) comments(s span) bool {
	if proseLanguages[p.lang] {
		return false
	}
	for _, line := range strings.Split(string(p.src[s.start:s.end]), "\n") {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "//") && !strings.HasPrefix(line, "#") &&
			!strings.HasPrefix(line, "*") && !strings.HasPrefix(line, "/*") {
			return false
		}
	}
	return true
}
