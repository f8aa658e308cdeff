package chatlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// values reads the items of one long JSON array, or JSON values one after the
// other, however they are laid out over lines.
type values struct {
	r     *bufio.Reader
	limit int
	line  int // of the next byte, from 1
	array bool
	begun bool
}

// value is one item of the stream.
type value struct {
	data    []byte // valid until the next call; nil when it is too long
	line    int    // where it begins
	tooLong bool
}

var (
	errTorn   = errors.New("the file ends inside a value")
	errLayout = errors.New("not a JSON value where one should begin")
)

// newValues reads from r; values of more than limit bytes are skipped.
func newValues(r io.Reader, limit int) *values {
	return &values{r: bufio.NewReaderSize(r, 256<<10), limit: limit, line: 1}
}

// next returns the next value into buf, io.EOF at the end, or errTorn or
// errLayout when the rest cannot be read.
func (v *values) next(buf []byte) (value, []byte, error) {
	c, err := v.start()
	if err != nil {
		return value{}, buf, err
	}
	if c != '{' && c != '[' {
		return value{}, buf, errLayout
	}
	out := value{line: v.line}
	buf, err = v.take(buf[:0], &out)
	if !out.tooLong {
		out.data = buf
	}
	return out, buf, err
}

// start passes what is between values and returns the first byte of the next,
// which stays unread.
func (v *values) start() (byte, error) {
	for {
		c, err := v.r.ReadByte()
		if errors.Is(err, io.EOF) && v.array {
			return 0, errTorn
		}
		if err != nil {
			return 0, err
		}
		switch {
		case c == '\n':
			v.line++
		case c == ' ', c == '\t', c == '\r', c == ',' && v.begun:
		case c == 0xef && !v.begun: // a byte order mark
			if _, err := v.r.Discard(2); err != nil {
				return 0, err
			}
		case c == '[' && !v.begun:
			v.array, v.begun = true, true
		case c == ']' && v.array:
			v.array = false
		default:
			v.begun = true
			return c, v.r.UnreadByte()
		}
	}
}

// take gathers one bracketed value from chunk to chunk.
func (v *values) take(buf []byte, out *value) ([]byte, error) {
	var b brackets
	for {
		if _, err := v.r.Peek(1); errors.Is(err, io.EOF) {
			return buf, errTorn
		} else if err != nil {
			return buf, fmt.Errorf("read value at line %d: %w", out.line, err)
		}
		chunk, _ := v.r.Peek(v.r.Buffered()) // what is there cannot fail
		n, done := b.pass(chunk)
		v.line += bytes.Count(chunk[:n], []byte("\n"))
		if len(buf)+n > v.limit {
			out.tooLong = true
			buf = buf[:0]
		}
		if !out.tooLong {
			buf = append(buf, chunk[:n]...)
		}
		if _, err := v.r.Discard(n); err != nil {
			return buf, err
		}
		if done {
			return buf, nil
		}
	}
}

// brackets follows the nesting of a value through its chunks.
type brackets struct {
	depth   int
	text    bool // inside a string
	escaped bool // after a backslash
}

// pass returns how much of chunk belongs to the value, and whether it ends
// there.
func (b *brackets) pass(chunk []byte) (n int, done bool) {
	for i := 0; i < len(chunk); i++ {
		if b.text {
			if i = b.passText(chunk, i); i >= len(chunk) {
				return len(chunk), false
			}
			continue
		}
		switch chunk[i] {
		case '"':
			b.text = true
		case '{', '[':
			b.depth++
		case '}', ']':
			if b.depth--; b.depth <= 0 {
				return i + 1, true
			}
		}
	}
	return len(chunk), false
}

// passText goes on inside a string and returns the index of its closing quote,
// or the length of chunk.
func (b *brackets) passText(chunk []byte, i int) int {
	for ; i < len(chunk); i++ {
		switch {
		case b.escaped:
			b.escaped = false
		case chunk[i] == '\\':
			b.escaped = true
		case chunk[i] == '"':
			b.text = false
			return i
		default:
			if n := bytes.IndexAny(chunk[i:], "\"\\"); n > 1 {
				i += n - 1
			} else if n < 0 {
				return len(chunk)
			}
		}
	}
	return i
}
