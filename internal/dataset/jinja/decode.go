package jinja

import (
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// errNotPlain is what the fast decoder says of text that it leaves to
// encoding/json, which also words the errors.
var errNotPlain = errors.New("not plain JSON")

// decoder reads JSON that is valid and nested no deeper than maxJSONDepth, and
// refuses everything else. Data sets are read line by line with it; it takes a
// fourth of the time of encoding/json's tokens.
type decoder struct {
	text []byte
	at   int
}

// decodeFast reads text as decodeSlow does, or returns errNotPlain.
func decodeFast(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errNotPlain
	}
	d := &decoder{text: text}
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if d.space(); d.at < len(d.text) {
		return nil, errNotPlain
	}
	return v, nil
}

// space passes over white space.
func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

// next is the first byte that is no white space, 0 at the end.
func (d *decoder) next() byte {
	d.space()
	if d.at >= len(d.text) {
		return 0
	}
	return d.text[d.at]
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, errNotPlain
	}
	switch c := d.next(); c {
	case '{':
		return d.dict(depth)
	case '[':
		return d.list(depth)
	case '"':
		return d.string()
	case 't':
		return true, d.word("true")
	case 'f':
		return false, d.word("false")
	case 'n':
		return nil, d.word("null")
	}
	return d.number()
}

func (d *decoder) word(word string) error {
	end := d.at + len(word)
	if end > len(d.text) || string(d.text[d.at:end]) != word {
		return errNotPlain
	}
	d.at = end
	return nil
}

func (d *decoder) list(depth int) (any, error) {
	d.at++
	list := []any{}
	if d.next() == ']' {
		d.at++
		return list, nil
	}
	for {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if more, err := d.more(']'); !more {
			return list, err
		}
	}
}

// more passes over a comma, or over the end of a list or an object.
func (d *decoder) more(end byte) (bool, error) {
	c := d.next()
	d.at++
	switch c {
	case ',':
		return true, nil
	case end:
		return false, nil
	}
	return false, errNotPlain
}

func (d *decoder) dict(depth int) (any, error) {
	d.at++
	dict := NewDict()
	if d.next() == '}' {
		d.at++
		return dict, nil
	}
	for {
		if d.next() != '"' {
			return nil, errNotPlain
		}
		key, err := d.string()
		if err != nil {
			return nil, err
		}
		if d.next() != ':' {
			return nil, errNotPlain
		}
		d.at++
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		dict.Set(key, v)
		if more, err := d.more('}'); !more {
			return dict, err
		}
	}
}

// number reads -? (0 | [1-9][0-9]*) fraction? exponent?
func (d *decoder) number() (any, error) {
	start := d.at
	d.skip('-')
	switch first := d.at; {
	case d.skip('0'):
	case d.digits() == first:
		return nil, errNotPlain
	}
	if d.skip('.') {
		if first := d.at; d.digits() == first {
			return nil, errNotPlain
		}
	}
	if d.skip('e') || d.skip('E') {
		_ = d.skip('+') || d.skip('-')
		if first := d.at; d.digits() == first {
			return nil, errNotPlain
		}
	}
	return decodeNumber(string(d.text[start:d.at])), nil
}

func (d *decoder) skip(c byte) bool {
	if d.at < len(d.text) && d.text[d.at] == c {
		d.at++
		return true
	}
	return false
}

// digits passes over digits and returns where they end.
func (d *decoder) digits() int {
	for d.at < len(d.text) && '0' <= d.text[d.at] && d.text[d.at] <= '9' {
		d.at++
	}
	return d.at
}

// string reads a string, whose quote is next.
func (d *decoder) string() (string, error) {
	d.at++
	start := d.at
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			return string(d.text[start : d.at-1]), nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", errNotPlain
		}
		d.at++
	}
	return "", errNotPlain
}

// escaped reads the rest of a string that began at start and has an escape.
func (d *decoder) escaped(start int) (string, error) {
	out := append(make([]byte, 0, d.at-start+64), d.text[start:d.at]...)
	for d.at < len(d.text) {
		plain := d.at
		for d.at < len(d.text) && d.text[d.at] != '"' && d.text[d.at] != '\\' && d.text[d.at] >= ' ' {
			d.at++
		}
		out = append(out, d.text[plain:d.at]...)
		switch {
		case d.skip('"'):
			return string(out), nil
		case !d.skip('\\') || d.at >= len(d.text):
			return "", errNotPlain
		}
		c := d.text[d.at]
		d.at++
		if c == 'u' {
			r, ok := d.unicode()
			if !ok {
				return "", errNotPlain
			}
			out = utf8.AppendRune(out, r)
			continue
		}
		if c = escapes[c]; c == 0 {
			return "", errNotPlain
		}
		out = append(out, c)
	}
	return "", errNotPlain
}

// escapes is the byte that stands behind a backslash.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unicode reads the four digits of \u and, after half of a pair, the other
// half. A half alone is U+FFFD.
func (d *decoder) unicode() (rune, bool) {
	r, ok := d.hex(d.at)
	if !ok {
		return 0, false
	}
	d.at += 4
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	if d.at+6 <= len(d.text) && d.text[d.at] == '\\' && d.text[d.at+1] == 'u' {
		if low, ok := d.hex(d.at + 2); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				d.at += 6
				return pair, true
			}
		}
	}
	return utf8.RuneError, true
}

// hex reads four hexadecimal digits.
func (d *decoder) hex(at int) (r rune, ok bool) {
	if at+4 > len(d.text) {
		return 0, false
	}
	for _, c := range d.text[at : at+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
