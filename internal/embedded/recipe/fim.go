package recipe

import (
	"math/rand/v2"
	"strings"
)

// FIM is a fill-in-the-middle record: prefix + middle + suffix is a span of a file.
type FIM struct {
	Prefix string `json:"prefix"`
	Suffix string `json:"suffix"`
	Middle string `json:"middle"`
}

// maxMiddle is the longest middle, in bytes.
const maxMiddle = 400

// spanBytes are the sizes of spans; about 3 bytes make a token. Short ones come
// first in training's favour: a model finds out sooner that it can copy from
// what it has read when that is not far away.
var spanBytes = []int{600, 1100}

// Spans cuts a file at blank lines into pieces of at most about size bytes.
// The pieces laid end to end are the file.
func Spans(text string, size int) []string {
	var spans []string
	for len(text) > size {
		cut := strings.LastIndex(text[:size], "\n\n") + 2
		if cut < size/4 {
			cut = strings.LastIndex(text[:size], "\n") + 1
		}
		if cut == 0 {
			cut = size
		}
		spans = append(spans, text[:cut])
		text = text[cut:]
	}
	return append(spans, text)
}

// FIMs makes one record from each span of a file. The middle is, in equal parts,
// the rest of a line, a run of whole lines, and a stretch between two random
// places, so that a model learns the gaps that an editor asks for. The same file
// always gives the same records.
func FIMs(f File) []FIM {
	rng := rand.New(rand.NewPCG(hash("fim", f.Path), 1))
	var records []FIM
	for _, span := range Spans(f.Text, spanBytes[rng.IntN(len(spanBytes))]) {
		if strings.Count(span, "\n") < 4 {
			continue
		}
		from, to := middle(rng, span)
		if from < to {
			records = append(records, FIM{Prefix: span[:from], Suffix: span[to:], Middle: span[from:to]})
		}
	}
	return records
}

// middle chooses the bytes from..to of a span that become the middle.
func middle(rng *rand.Rand, span string) (from, to int) {
	from = rng.IntN(len(span))
	switch rng.IntN(3) {
	case 0: // the rest of a line
		to = lineAfter(span, from) - 1
	case 1: // whole lines
		from = strings.LastIndex(span[:from], "\n") + 1
		to = from
		for n := 1 + rng.IntN(8); n > 0 && to < len(span); n-- {
			to = lineAfter(span, to)
		}
	default:
		to = from + 1 + rng.IntN(maxMiddle)
	}
	to = min(to, len(span), from+maxMiddle)
	return runeStart(span, from), runeStart(span, to)
}

// lineAfter returns the place behind the next line break.
func lineAfter(s string, at int) int {
	if i := strings.IndexByte(s[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(s)
}

// runeStart moves a place back to the beginning of a rune.
func runeStart(s string, at int) int {
	for at > 0 && at < len(s) && s[at]&0xC0 == 0x80 {
		at--
	}
	return at
}
