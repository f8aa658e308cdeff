package fim

import (
	"bytes"
	"unicode/utf8"
)

// window chooses the part of the file around s that a record shows: src[from:to]
// with at most limit bytes. Three quarters of what the middle leaves go to the
// prefix, as in the completion servers that the model will meet; what one side
// cannot use, the other gets. Where the file goes on, the window ends at a
// line, unless a single line fills that side.
func window(src []byte, s span, limit int) (from, to int) {
	if len(src) <= limit {
		return 0, len(src)
	}
	rest := limit - (s.end - s.start)
	before := min(s.start, rest*3/4)
	after := min(len(src)-s.end, rest-before)
	before = min(s.start, rest-after)
	return alignFrom(src, s.start-before, s.start), alignTo(src, s.end+after, s.end)
}

// alignFrom moves from on to the start of a line at or before limit, or at
// least of a character.
func alignFrom(src []byte, from, limit int) int {
	if from == 0 {
		return 0
	}
	if i := bytes.IndexByte(src[from-1:limit], '\n'); i >= 0 {
		return from + i
	}
	for from < limit && !utf8.RuneStart(src[from]) {
		from++
	}
	return from
}

// alignTo moves to back behind the end of a line at or after limit, or at
// least of a character.
func alignTo(src []byte, to, limit int) int {
	if to == len(src) {
		return to
	}
	if i := bytes.LastIndexByte(src[limit:to], '\n'); i >= 0 {
		return limit + i + 1
	}
	for to > limit && !utf8.RuneStart(src[to]) {
		to--
	}
	return to
}

// chunks divides a file into pieces of at most limit bytes that end at lines
// where lines are short enough. Together they are the file.
func chunks(src []byte, limit int) [][2]int {
	var out [][2]int
	for from := 0; from < len(src); {
		to := min(from+limit, len(src))
		if cut := alignTo(src, to, from); cut > from {
			to = cut
		}
		out = append(out, [2]int{from, to})
		from = to
	}
	return out
}
