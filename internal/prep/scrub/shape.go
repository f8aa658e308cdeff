package scrub

import (
	"fmt"
	"regexp/syntax"
	"strings"
)

// shape is what can be told about the matches of an expression without running
// it. Everything in it is a necessary condition: a place that fails it holds
// no match, and a place that passes is given to the expression.
type shape struct {
	anchors []anchor // every match starts with one of these; none: unknown
	word    bool     // every match starts at a word boundary with a word character
	assigns bool     // a keyword is followed by an operator and a value
	longest int      // bytes of the longest match; unbounded if negative
}

// anchor is how a match may start: classes of its first bytes, of which the
// leading ones spell a literal.
type anchor struct {
	literal string // lower case
	classes []byteSet
}

const (
	maxAnchors  = 64 // alternatives beyond this are not told apart
	maxClasses  = 48 // bytes of a match that are looked at before the expression
	unbounded   = -1
	assignStart = `[\w.-]{0,50}?(`
	assignAfter = `)(?:[ \t\w.-]{0,20})[\s'"]{0,3}`
)

// shapeOf studies an expression whose matches contain one of the keywords.
func shapeOf(expr string, keywords []string) (shape, error) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return shape{}, fmt.Errorf("parse its expression: %w", err)
	}
	s := shape{longest: longest(re), word: startsWord(re), assigns: assigns(expr, keywords)}
	paths := expand(re, []path{{}})
	for _, p := range paths {
		a := p.anchor()
		if !mentions(a.literal, keywords) {
			s.anchors = nil // one way in that is not known makes the others useless
			return s, nil
		}
		s.anchors = append(s.anchors, a)
	}
	return s, nil
}

// mentions tells whether finding the literal is as good as finding a keyword.
func mentions(literal string, keywords []string) bool {
	for _, keyword := range keywords {
		if len(literal) >= 2 && (strings.Contains(literal, keyword) || strings.HasPrefix(keyword, literal)) {
			return true
		}
	}
	return false
}

// assigns recognises expressions for `name = value` in which no keyword is part
// of the value.
func assigns(expr string, keywords []string) bool {
	_, rest, ok := strings.Cut(expr, assignStart)
	_, value, ok2 := strings.Cut(rest, assignAfter)
	if !ok || !ok2 {
		return false
	}
	value = strings.ToLower(value)
	for _, keyword := range keywords {
		if strings.Contains(value, keyword) {
			return false
		}
	}
	return true
}

// path is one way through the start of an expression.
type path struct {
	classes []byteSet
	open    bool // what follows is not known
}

func (p path) anchor() anchor {
	var literal []byte
	for i := range p.classes {
		c, ok := p.classes[i].letter()
		if !ok {
			break
		}
		literal = append(literal, c)
	}
	return anchor{literal: string(literal), classes: p.classes}
}

// with adds one more byte to a path.
func (p path) with(class byteSet) path {
	if p.open || len(p.classes) >= maxClasses {
		p.open = true
		return p
	}
	classes := make([]byteSet, len(p.classes)+1)
	copy(classes, p.classes)
	classes[len(p.classes)] = class
	return path{classes: classes}
}

// expand continues each path through an expression.
func expand(re *syntax.Regexp, in []path) []path {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpBeginLine:
		return in
	case syntax.OpLiteral:
		return expandLiteral(re, in)
	case syntax.OpCharClass:
		class, ascii := bytesOf(re.Rune)
		return each(in, func(p path) path {
			if !ascii {
				return closed(p)
			}
			return p.with(class)
		})
	case syntax.OpCapture:
		return expand(re.Sub[0], in)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			in = expand(sub, in)
		}
		return in
	case syntax.OpAlternate:
		return expandAlternate(re.Sub, in)
	case syntax.OpQuest:
		return expandAlternate([]*syntax.Regexp{re.Sub[0], {Op: syntax.OpEmptyMatch}}, in)
	case syntax.OpPlus:
		return each(expand(re.Sub[0], in), closed)
	case syntax.OpRepeat:
		for range min(re.Min, maxClasses) {
			in = expand(re.Sub[0], in)
		}
		if re.Min == re.Max {
			return in
		}
	}
	return each(in, closed)
}

func expandLiteral(re *syntax.Regexp, in []path) []path {
	for _, r := range re.Rune {
		in = each(in, func(p path) path {
			if r >= 128 {
				return closed(p)
			}
			class := setOf(string(r))
			if re.Flags&syntax.FoldCase != 0 {
				class.add(lower(byte(r)))
				class.add(upper(byte(r)))
			}
			return p.with(class)
		})
	}
	return in
}

func expandAlternate(subs []*syntax.Regexp, in []path) []path {
	var out []path
	for _, sub := range subs {
		out = append(out, expand(sub, in)...)
	}
	if len(out) > maxAnchors {
		return each(in, closed)
	}
	return out
}

func each(in []path, f func(path) path) []path {
	out := make([]path, len(in))
	for i, p := range in {
		out[i] = f(p)
	}
	return out
}

func closed(p path) path { return path{classes: p.classes, open: true} }

// bytesOf turns a class of runes into bytes. The two runes outside ASCII that
// fold to ASCII letters, long s and the kelvin sign, are ignored: no secret is
// spelled with them.
func bytesOf(ranges []rune) (class byteSet, ascii bool) {
	ascii = true
	for i := 0; i < len(ranges); i += 2 {
		lo, hi := ranges[i], ranges[i+1]
		if lo == hi && (lo == 'ſ' || lo == '\u212a') {
			continue
		}
		if lo < 128 {
			class.addRange(byte(lo), byte(min(hi, 127)))
		}
		ascii = ascii && hi < 128
	}
	return class, ascii
}

// startsWord tells whether every match begins with \b before a word character;
// the second part holds for all expressions with literal anchors in use.
func startsWord(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpWordBoundary:
		return true
	case syntax.OpConcat, syntax.OpCapture:
		return len(re.Sub) > 0 && startsWord(re.Sub[0])
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !startsWord(sub) {
				return false
			}
		}
		return true
	}
	return false
}

// longest is the length in bytes of the longest match, or unbounded.
func longest(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune))
	case syntax.OpCharClass:
		if _, ascii := bytesOf(re.Rune); ascii {
			return 1
		}
		return 4
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 4
	case syntax.OpCapture, syntax.OpQuest:
		return longest(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus:
		return unbounded
	case syntax.OpRepeat:
		one := longest(re.Sub[0])
		if re.Max < 0 || one < 0 {
			return unbounded
		}
		return one * re.Max
	case syntax.OpConcat, syntax.OpAlternate:
		return longestOf(re)
	}
	return 0
}

func longestOf(re *syntax.Regexp) int {
	total := 0
	for _, sub := range re.Sub {
		n := longest(sub)
		switch {
		case n < 0:
			return unbounded
		case re.Op == syntax.OpConcat:
			total += n
		default:
			total = max(total, n)
		}
	}
	return total
}
