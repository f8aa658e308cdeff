package fim

import (
	"strings"
	"unicode/utf8"
)

// escaped is a text as the inside of a JSON string. The records of a file
// repeat most of it, so it is escaped once and records copy from it.
type escaped struct {
	text []byte
	at   []int32 // at[i] is where byte i of the original begins in text
}

// escape takes valid UTF-8.
func escape(src []byte) *escaped {
	e := &escaped{text: make([]byte, 0, len(src)+len(src)/8), at: make([]int32, len(src)+1)}
	for i, c := range src {
		e.at[i] = int32(len(e.text))
		if c < utf8.RuneSelf && jsonSafe[c] == 1 { // nearly every byte, without a call
			e.text = append(e.text, c)
			continue
		}
		e.text = appendEscaped(e.text, src, i, c)
	}
	e.at[len(src)] = int32(len(e.text))
	return e
}

// slice is src[from:to] of the original.
func (e *escaped) slice(from, to int) []byte { return e.text[e.at[from]:e.at[to]] }

const hex16 = "0123456789abcdef"

// appendEscaped adds byte i of src, which is c, as encoding/json does without
// its escapes for HTML. The separators U+2028 and U+2029, which end lines in
// JavaScript, are replaced at their last byte.
func appendEscaped(dst, src []byte, i int, c byte) []byte {
	if c >= utf8.RuneSelf {
		if (c == 0xa8 || c == 0xa9) && i >= 2 && src[i-1] == 0x80 && src[i-2] == 0xe2 {
			return append(dst[:len(dst)-2], `\u202`+string(hex16[c&15])...)
		}
		return append(dst, c)
	}
	switch safe := jsonSafe[c]; safe {
	case 1:
		return append(dst, c)
	case 0:
		return append(dst, '\\', 'u', '0', '0', hex16[c>>4], hex16[c&15])
	default:
		return append(dst, '\\', safe)
	}
}

// jsonSafe is 1 for what stays as it is, the letter of a short escape, or 0.
var jsonSafe = func() (table [utf8.RuneSelf]byte) {
	for c := range table {
		if c >= ' ' {
			table[c] = 1
		}
	}
	for c, letter := range map[byte]byte{'"': '"', '\\': '\\', '\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f'} {
		table[c] = letter
	}
	return table
}()

// appendString adds a quoted JSON string. Paths need not be UTF-8: what is not
// is replaced.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	src := []byte(strings.ToValidUTF8(s, "\ufffd"))
	for i, c := range src {
		dst = appendEscaped(dst, src, i, c)
	}
	return append(dst, '"')
}
