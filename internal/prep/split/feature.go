package split

import (
	"errors"
	"math"
)

// Reasons for leaving a record out.
const (
	reasonDuplicate = "exact duplicate"
	reasonNear      = "near duplicate"
	reasonChained   = "near duplicate of a near duplicate"
	reasonMalformed = "malformed line"
	reasonTooLong   = "over-long line"
	reasonTorn      = "damaged file"
	reasonKind      = "no known kind"
	reasonFewChars  = "fewer characters than --min-chars"
	reasonManyChars = "more characters than --max-chars"
	reasonFewTokens = "fewer tokens than --min-tokens"
	reasonManyToken = "more tokens than --max-tokens"
	reasonAvoided   = "overlaps with --decontaminate"
	reasonSurplus   = "over --max-samples"
	reasonShown     = "trained record that shows an evaluated file"
)

// feature is what is remembered of a record, or why it is left out.
type feature struct {
	offset  int64  // of its line in the input, bytes
	size    int64  // of the record in bytes, without white space around it
	reason  string // "" for a record that is used; else only kind is set
	kind    int
	chars   int // characters of its text
	content key
	related bool // long enough for a copy to mean something
	signed  bool // sig is set: the record has words
	lineage
	sig signature
}

// analyst describes lines. It is for one goroutine.
type analyst struct {
	o     Options
	avoid *avoided
	text  reader
	hash  hasher
	shingler
}

func newAnalyst(o Options, avoid *avoided) *analyst {
	a := &analyst{o: o, avoid: avoid}
	a.text.keep = o.MinTokens > 0 || o.MaxTokens > 0
	return a
}

// describe reads the line of one record. An error is a line that is no record.
func (a *analyst) describe(line string) (feature, error) {
	r, err := parse(line)
	if err != nil {
		return feature{}, err
	}
	f := feature{size: int64(len(line)), kind: r.kind}
	a.text.read(r)
	f.chars = min(a.text.chars, math.MaxUint32)
	shingles := a.shingles(a.text.words)
	if f.reason, err = a.refuse(); err != nil || f.reason != "" {
		return f, err
	}
	f.content = a.hash.content(r)
	f.lineage = lineageOf(r)
	f.related = len(shingles) >= minRelated
	if len(shingles) > 0 && a.o.Near > 0 {
		f.signed, f.sig = true, sign(shingles)
	}
	return f, nil
}

// refuse says why the record that was read is left out, or "".
func (a *analyst) refuse() (reason string, err error) {
	switch o := a.o; {
	case a.text.chars < o.MinChars:
		return reasonFewChars, nil
	case o.MaxChars > 0 && a.text.chars > o.MaxChars:
		return reasonManyChars, nil
	}
	if a.text.keep {
		tokens := 0
		for _, text := range a.text.all {
			n, err := a.o.Tokens(text)
			if err != nil {
				return "", err
			}
			tokens += n
		}
		switch {
		case tokens < a.o.MinTokens:
			return reasonFewTokens, nil
		case a.o.MaxTokens > 0 && tokens > a.o.MaxTokens:
			return reasonManyToken, nil
		}
	}
	if a.avoid.meets(a.words) {
		return reasonAvoided, nil
	}
	return "", nil
}

// setOf is the set of shingles of the record in line.
func (a *analyst) setOf(line string) ([]uint64, error) {
	r, err := parse(line)
	if err != nil {
		return nil, err
	}
	a.text.read(r)
	return a.set(a.text.words), nil
}

// problemReason is the reason to count an error of describe under.
func problemReason(err error) string {
	if errors.Is(err, errKind) {
		return reasonKind
	}
	return reasonMalformed
}
