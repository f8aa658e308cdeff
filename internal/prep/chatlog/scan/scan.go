// Package scan reads JSON in place: it finds the members of an object and the
// items of an array as slices of the input, and decodes only the strings that
// are asked for. What is skipped is checked for its structure (strings closed,
// brackets paired, commas and colons in place), not for the spelling of numbers
// and escapes, which is what makes it several times faster than decoding.
package scan

import "bytes"

// MaxDepth is the deepest nesting that is read.
const MaxDepth = 1000

// Skip returns the index after the value that starts at or after b[i], or -1
// when there is no complete value.
func Skip(b []byte, i int) int { return skip(b, space(b, i), 0) }

// Valid tells whether b is one value, with white space around it or not.
func Valid(b []byte) bool {
	end := Skip(b, 0)
	return end >= 0 && space(b, end) == len(b)
}

func skip(b []byte, i, depth int) int {
	if i >= len(b) || depth > MaxDepth {
		return -1
	}
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{':
		return skipObject(b, i, depth)
	case '[':
		return skipArray(b, i, depth)
	default:
		return skipScalar(b, i)
	}
}

// skipString expects b[i] to be the opening quote.
func skipString(b []byte, i int) int {
	for at := i + 1; ; {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return -1
		}
		quote := at + n
		slashes := 0
		for quote-1-slashes > i && b[quote-1-slashes] == '\\' {
			slashes++
		}
		at = quote + 1
		if slashes%2 == 0 {
			return at
		}
	}
}

func skipObject(b []byte, i, depth int) int {
	i = space(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '"' {
			return -1
		}
		if i = skipString(b, i); i < 0 {
			return -1
		}
		if i = space(b, i); i >= len(b) || b[i] != ':' {
			return -1
		}
		if i = skip(b, space(b, i+1), depth+1); i < 0 {
			return -1
		}
		if i = space(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = space(b, i+1)
		case '}':
			return i + 1
		default:
			return -1
		}
	}
}

func skipArray(b []byte, i, depth int) int {
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = skip(b, i, depth+1); i < 0 {
			return -1
		}
		if i = space(b, i); i >= len(b) {
			return -1
		}
		switch b[i] {
		case ',':
			i = space(b, i+1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

// skipScalar passes a number, true, false or null.
func skipScalar(b []byte, i int) int {
	start := i
	for i < len(b) && scalar[b[i]] {
		i++
	}
	if i == start {
		return -1
	}
	switch c := b[start]; {
	case c == '-' || c >= '0' && c <= '9':
		return i
	case string(b[start:i]) == "true", string(b[start:i]) == "false", string(b[start:i]) == "null":
		return i
	default:
		return -1
	}
}

// scalar marks the bytes that numbers and literals are made of.
var scalar = func() (set [256]bool) {
	for _, c := range "+-.0123456789Eaeflnrstu" {
		set[c] = true
	}
	return set
}()

// space returns the index of the first byte at or after b[i] that is no white
// space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}
