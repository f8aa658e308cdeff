package scan

import (
	"bytes"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// String decodes a JSON string; ok is false for anything else. Bytes that are
// no UTF-8 become U+FFFD.
func String(raw []byte) (text string, ok bool) {
	b, ok := AppendString(nil, raw)
	return string(b), ok
}

// Text is String, and the empty text when raw is no string.
func Text(raw []byte) string {
	if inner, simple := plain(raw); simple {
		return string(inner)
	}
	text, _ := String(raw)
	return text
}

// plain returns what is between the quotes when nothing there needs decoding.
func plain(raw []byte) (inner []byte, simple bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return nil, false
	}
	inner = raw[1 : len(raw)-1]
	return inner, bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner)
}

// AppendString decodes the JSON string raw onto dst. When ok is false, dst
// comes back as it was.
func AppendString(dst, raw []byte) (out []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return dst, false
	}
	if !utf8.Valid(raw) {
		return appendDecoded(dst, raw)
	}
	rest, start := raw[1:len(raw)-1], len(dst)
	for {
		n := bytes.IndexByte(rest, '\\')
		if n < 0 {
			return append(dst, rest...), true
		}
		dst = append(dst, rest[:n]...)
		var used int
		if dst, used = appendEscape(dst, rest[n:]); used == 0 {
			return dst[:start], false
		}
		rest = rest[n+used:]
	}
}

// appendDecoded leaves text with broken UTF-8 to the standard library.
func appendDecoded(dst, raw []byte) ([]byte, bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return dst, false
	}
	return append(dst, text...), true
}

// escaped is what a backslash and a byte stand for; 0 where that is nothing.
var escaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// appendEscape decodes the escape at the start of b and returns its length, 0
// when it is none.
func appendEscape(dst, b []byte) (out []byte, used int) {
	if len(b) < 2 {
		return dst, 0
	}
	if c := escaped[b[1]]; c != 0 {
		return append(dst, c), 2
	}
	r := unit(b)
	if r < 0 {
		return dst, 0
	}
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(dst, r), 6
	}
	if pair := utf16.DecodeRune(r, unit(b[6:])); pair != utf8.RuneError {
		return utf8.AppendRune(dst, pair), 12
	}
	return utf8.AppendRune(dst, utf8.RuneError), 6
}

// unit reads \uXXXX, or returns -1.
func unit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

const hex = "0123456789abcdef"

// AppendQuoted writes text as a JSON string the way encoding/json does without
// its HTML escapes; text must be UTF-8.
func AppendQuoted(dst []byte, text string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(append(dst, text[start:i]...), `\ufffd`...)
				start = i + size
			case r == '\u2028' || r == '\u2029':
				dst = append(append(dst, text[start:i]...), `\u202`...)
				dst = append(dst, hex[r&0xf])
				start = i + size
			}
			i += size
			continue
		}
		dst = appendControl(append(dst, text[start:i]...), c)
		i++
		start = i
	}
	return append(append(dst, text[start:]...), '"')
}

// appendControl writes the escape of a control character, quote or backslash.
func appendControl(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
	}
}
