package fim

import (
	"bytes"
	"math"
	"math/rand/v2"
	"sort"
	"unicode/utf8"

	"github.com/qlora/qlora/internal/prep/fim/syntax"
)

// Kinds of span, as a record's span_kind names them. Those of the syntax tree
// have the names that package syntax gives them; each is a whole node.
const (
	KindLine  = "line"         // whole lines, without the last line's end
	KindRest  = "rest_of_line" // from inside a line to its end
	KindChar  = "char"         // from any character to any other
	KindStart = "file_start"   // from the start of the file: the prefix is empty
	KindEnd   = "file_end"     // to the end of the file: the suffix is empty
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
	limit  int         // bytes of a span
	shares Shares      // how often each way of choosing is tried first
	lines  []int       // start of each line, and len(src)
	tree   syntax.Tree // nil when there is none
	taken  []span
}

func newPicker(src []byte, lang string, rng *rand.Rand, limit int, shares Shares) *picker {
	p := &picker{src: src, lang: lang, rng: rng, limit: limit, shares: shares}
	p.lines = make([]int, 1, len(src)/24+2)
	for at := 0; ; {
		i := bytes.IndexByte(src[at:], '\n')
		if i < 0 || at+i+1 == len(src) {
			break
		}
		at += i + 1
		p.lines = append(p.lines, at)
	}
	p.lines = append(p.lines, len(src))
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
	ways := []func() (span, bool){p.drawSyntax, p.drawLines, p.drawChars, p.drawEdge}
	u := p.rng.Float64() * p.shares.sum()
	first := 0
	for _, share := range []float64{p.shares.Syntax, p.shares.Line, p.shares.Char} {
		if u < share {
			break
		}
		u -= share
		first++
	}
	for _, i := range []int{first, 1, 2} {
		if s, ok := ways[i](); ok {
			return s, true
		}
	}
	return span{}, false
}

// drawSyntax takes a node around a random byte, of a random kind among those
// around it, so that small nodes do not crowd out large ones.
func (p *picker) drawSyntax() (span, bool) {
	if p.tree == nil {
		return span{}, false
	}
	for range attempts {
		around := p.tree.Around(p.rng.IntN(len(p.src)))
		byKind := map[string][]span{}
		for _, n := range around {
			if s := (span{n.Start, n.End, n.Kind}); s.end-s.start <= p.limit {
				byKind[n.Kind] = append(byKind[n.Kind], s)
			}
		}
		if len(byKind) == 0 {
			continue
		}
		list := byKind[choose(p.rng, byKind)]
		if s := list[p.rng.IntN(len(list))]; p.usable(s) {
			return s, true
		}
	}
	return span{}, false
}

// choose draws one of the kinds evenly, whatever the order of the map.
func choose(rng *rand.Rand, byKind map[string][]span) string {
	n := rng.IntN(len(byKind))
	for _, kind := range syntax.Kinds {
		if byKind[kind] == nil {
			continue
		}
		if n == 0 {
			return kind
		}
		n--
	}
	return ""
}

// drawLines takes up to ten whole lines, or in one case of four the rest of a
// line, as when someone stops typing in it.
func (p *picker) drawLines() (span, bool) {
	n := len(p.lines) - 1
	for range attempts {
		first := p.rng.IntN(n)
		count := 1 + p.rng.IntN(min(maxSpanLines, n-first))
		rest := p.rng.IntN(4) == 0
		if rest {
			count = 1
		}
		s := span{p.lines[first], p.lines[first+count], KindLine}
		s.end = s.start + len(bytes.TrimRight(p.src[s.start:s.end], "\r\n"))
		if rest {
			if s = p.restOf(s); s.kind != KindRest {
				continue
			}
		}
		if p.usable(s) {
			return s, true
		}
	}
	return span{}, false
}

// restOf moves the start of a line's span behind its first visible character.
func (p *picker) restOf(s span) span {
	line := p.src[s.start:s.end]
	indent := len(line) - len(bytes.TrimLeft(line, " \t"))
	if len(line)-indent < 2 {
		return s
	}
	at := p.runeStart(s.start + indent + 1 + p.rng.IntN(len(line)-indent-1))
	if at <= s.start+indent {
		return s
	}
	return span{at, s.end, KindRest}
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

// drawEdge takes up to ten lines at the start of the file or at its end.
func (p *picker) drawEdge() (span, bool) {
	n := len(p.lines) - 1
	for range attempts / 2 {
		count := 1 + p.rng.IntN(min(maxSpanLines, n))
		s := span{p.lines[n-count], len(p.src), KindEnd}
		if p.rng.IntN(2) == 0 {
			s = span{0, p.lines[count], KindStart}
			s.end = len(bytes.TrimRight(p.src[:s.end], "\r\n"))
		}
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
