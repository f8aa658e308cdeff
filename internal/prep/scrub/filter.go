package scrub

import (
	"math/bits"
	"strings"
)

// Cheap looks at what follows a keyword. Each is a necessary condition of the
// expressions it stands before: it may pass what the expression refuses, never
// the other way round.

const (
	nameRest     = 60 // bytes of a name, blanks and quotes between a keyword and the operator
	operatorRun  = 9  // bytes of operators, quotes and blanks before a value
	genericWidth = 12 // distinct characters of a value whose entropy exceeds 3.5 bits
)

var (
	nameBytes     = merge(wordBytes, setOf(" \t\n\v\f\r.-'\""))
	operatorBytes = setOf("=>|:?,")
	leadBytes     = merge(operatorBytes, setOf(" \t\n\v\f\r`'\""))
	genericBytes  = merge(wordBytes, setOf(".=-+/"))
	tellingBytes  = merge(setOf("=+/"), digitBytes)
	digitBytes    = setOf("0123456789")
)

func merge(a, b byteSet) byteSet {
	return byteSet{a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]}
}

// assignment passes a keyword that is followed by an operator and a value of
// at least eight characters. The window is left open.
func assignment(text string, end int) (int, bool) {
	at, ok := valueAfter(text, end)
	if !ok || at+8 > len(text) {
		return 0, false
	}
	for i := at; i < at+8; i++ {
		if c := text[i]; c <= ' ' || c == '"' || c == '\'' || c == '`' || c == ';' {
			return 0, false
		}
	}
	return 0, true
}

// operatorValue passes a keyword that is followed by an operator, whatever the
// value: passwords hold any sign. The words themselves are frequent in prose.
func operatorValue(text string, end int) (int, bool) {
	at, ok := valueAfter(text, end)
	return 0, ok && at < len(text)
}

// hexValue passes a keyword whose value starts with as many hex digits as the
// rule for them asks for.
func hexValue(text string, end int) (int, bool) {
	at, ok := valueAfter(text, end)
	return 0, ok && at+32 <= len(text) && isHex(strings.ToLower(text[at:at+32]))
}

// genericValue passes a keyword whose value may satisfy the rule for generic
// keys: long enough, not letters alone, and of enough different characters.
func genericValue(text string, end int) (int, bool) {
	at, ok := valueAfter(text, end)
	if !ok {
		return 0, false
	}
	var seen [2]uint64
	telling, i := false, at
	for ; i < len(text) && genericBytes.has(text[i]); i++ {
		c := text[i]
		telling = telling || tellingBytes.has(c)
		seen[c>>6&1] |= 1 << (c & 63)
	}
	distinct := bits.OnesCount64(seen[0]) + bits.OnesCount64(seen[1])
	return min(len(text), i+2), telling && distinct >= genericWidth
}

// valueAfter skips the rest of a name, an operator and what may stand before
// the value; at is where the value starts.
func valueAfter(text string, end int) (at int, ok bool) {
	i := end
	for i < len(text) && nameBytes.has(text[i]) {
		if i-end > nameRest {
			return 0, false
		}
		i++
	}
	if i == len(text) || !operatorBytes.has(text[i]) {
		return 0, false
	}
	for first := i; i < len(text) && leadBytes.has(text[i]); i++ {
		if i-first > operatorRun {
			return 0, false
		}
	}
	return i, true
}
