package scrub

import (
	"strings"
)

// span is a found secret: the bytes [start, end) of the text.
type span struct {
	start, end int
	rule       *rule
}

// trigger is what happens where a literal was found.
type trigger struct {
	literal string
	anchor  *anchor // the match starts here if these classes agree
	word    bool
	filter  func(text string, end int) (stop int, ok bool) // cheap look after the literal; stop ends the window, 0 leaves it open
	rules   []*rule
	detect  detector // instead of rules
}

// detector finds secrets that no expression describes well. The literal is
// text[start:end]; spans are added to the scan.
type detector func(sc *scan, text string, start, end int)

// scan is the state of one pass over one text. lastEnd keeps the matches of a
// rule from overlapping, as a left-to-right search does.
type scan struct {
	spans   []span
	lastEnd []int
	touched []int
}

func (sc *scan) reset() {
	for _, i := range sc.touched {
		sc.lastEnd[i] = 0
	}
	sc.touched = sc.touched[:0]
	sc.spans = sc.spans[:0]
}

// scanText finds the secrets of text, overlapping ones included.
func (s *Scrubber) scanText(sc *scan, text string) {
	a, state := s.machine, uint32(0)
	next, first := a.next, a.firstHit
	for i := range len(text) {
		state = next[state+uint32(a.class[text[i]])]
		if state >= first {
			for _, id := range a.hits[(state-first)/uint32(a.columns)] {
				s.pull(sc, &s.triggers[id], text, i+1)
			}
		}
	}
	for _, r := range s.everywhere {
		sc.confirm(r, text, 0, len(text))
	}
}

// pull tries the rules of a trigger whose literal ends at end.
func (s *Scrubber) pull(sc *scan, t *trigger, text string, end int) {
	start := end - len(t.literal)
	switch {
	case t.detect != nil:
		t.detect(sc, text, start, end)
	case t.anchor != nil:
		if t.word && start > 0 && isWord(text[start-1]) || !t.anchor.fits(text[start:]) {
			return
		}
		for _, r := range t.rules {
			sc.confirm(r, text, start, windowEnd(r, text, start))
		}
	default:
		stop := 0
		if t.filter != nil {
			var ok bool
			if stop, ok = t.filter(text, end); !ok {
				return
			}
		}
		for _, r := range t.rules {
			to := stop
			if to == 0 {
				to = windowEnd(r, text, end)
			}
			sc.confirm(r, text, windowStart(r, start), to)
		}
	}
}

// fits checks the first bytes of rest against the classes.
func (a *anchor) fits(rest string) bool {
	if len(rest) < len(a.classes) {
		return false
	}
	for i := range a.classes {
		if !a.classes[i].has(rest[i]) {
			return false
		}
	}
	return true
}

const (
	lookBehind  = 200     // bytes before a keyword in which its match may start
	lookAhead   = 300     // bytes after a keyword, before the value it is in ends
	longestRun  = 1 << 16 // bytes of a value that are looked at
	keywordNear = 256     // bytes between a match and a keyword that it does not contain
)

func windowStart(r *rule, keyword int) int {
	return max(0, keyword-lookBehind)
}

// windowEnd is where a match that starts or has its keyword at from ends at
// the latest: by its greatest length, or where the value it is in ends.
func windowEnd(r *rule, text string, from int) int {
	if n := r.shape.longest; n >= 0 && n < 4*lookAhead {
		return min(len(text), from+n+2)
	}
	end := min(len(text), from+lookAhead)
	for end < len(text) && end-from < longestRun && text[end] > ' ' && text[end] != '"' && text[end] != '\'' {
		end++
	}
	return min(len(text), end+2)
}

// confirm runs a rule's expression over text[from:to] and keeps what holds.
// The byte before from is shown to the expression, so that it can tell word
// boundaries; a match that ends with the window may be cut, so the window
// grows.
func (sc *scan) confirm(r *rule, text string, from, to int) {
	re := r.compiled()
	for {
		from = max(from, sc.lastEnd[r.index])
		if from >= to {
			return
		}
		base := max(from-1, 0)
		loc := re.FindStringIndex(text[base:to])
		if loc != nil && base+loc[0] < from {
			base = from
			loc = re.FindStringIndex(text[base:to])
		}
		if loc == nil {
			return
		}
		start, end := base+loc[0], base+loc[1]
		if end == to && to < len(text) && to-from < longestRun {
			to = min(len(text), to+max(to-from, lookAhead))
			continue
		}
		sc.keep(r, text, start, end)
		if end == start {
			return
		}
	}
}

// keep judges one match.
func (sc *scan) keep(r *rule, text string, start, end int) {
	if sc.lastEnd[r.index] == 0 {
		sc.touched = append(sc.touched, r.index)
	}
	sc.lastEnd[r.index] = max(end, start+1)
	match := strings.Trim(text[start:end], "\n")
	start += strings.Index(text[start:end], match)
	from, to := r.secret(match)
	if from == to || !r.keywordNear(text, start, end) || !r.holds(match, match[from:to]) {
		return
	}
	if r.inText == nil || r.inText(text, start, start+from, start+to) {
		sc.spans = append(sc.spans, span{start + from, start + to, r})
	}
}

// keywordNear tells whether one of the rule's keywords is in the match or
// close to it.
func (r *rule) keywordNear(text string, start, end int) bool {
	if len(r.keywords) == 0 {
		return true
	}
	around := strings.ToLower(text[max(0, start-keywordNear):min(len(text), end+keywordNear)])
	for _, keyword := range r.keywords {
		if strings.Contains(around, keyword) {
			return true
		}
	}
	return false
}
