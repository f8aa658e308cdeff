package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// MaxLine is the longest line of a data file, in bytes.
const MaxLine = 64 << 20

// errBinary ends the reading: no line of the file can be used.
var errBinary = errors.New("a binary file, not JSON lines")

var errLineTooLong = fmt.Errorf("line longer than %d MiB", MaxLine>>20)

// lineReader yields the lines of a JSONL file with their numbers. Blank lines
// are passed over; a byte order mark before the first line is removed.
type lineReader struct {
	r    *bufio.Reader
	max  int
	line int
}

func newLineReader(r io.Reader, max int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 1<<16), max: max}
}

// next returns a line of its own memory and its number from 1. A line that
// cannot be used comes with an error of type *LineError; reading can go on
// after it. Any other error ends the file, io.EOF at its regular end; a first
// line that no text begins with is one.
func (l *lineReader) next() ([]byte, int, error) {
	for {
		data, err := l.read()
		if err != nil {
			return nil, l.line, err
		}
		if l.line == 1 {
			data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
			if bytes.IndexByte(data, 0) >= 0 {
				return nil, l.line, errBinary
			}
		}
		if data = bytes.TrimSpace(data); len(data) == 0 {
			continue
		}
		if !utf8.Valid(data) {
			return nil, l.line, &LineError{errors.New("not valid UTF-8")}
		}
		return data, l.line, nil
	}
}

// read returns one line without its end. Of a line beyond the limit it keeps
// nothing, so that a file that is no JSONL does not fill the memory.
func (l *lineReader) read() ([]byte, error) {
	var data []byte
	tooLong := false
	for first := true; ; first = false {
		chunk, err := l.r.ReadSlice('\n')
		if first && len(chunk) > 0 {
			l.line++
		}
		if tooLong = tooLong || len(data)+len(chunk) > l.max; tooLong {
			data = nil
		} else {
			data = append(data, chunk...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && first && len(chunk) == 0:
			return nil, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case tooLong:
			return nil, &LineError{errLineTooLong}
		}
		return data, nil
	}
}

// LineError is a line that cannot become a sample. Loading stops at one unless
// invalid lines are to be skipped.
type LineError struct{ Err error }

func (e *LineError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *LineError) Unwrap() error { return e.Err }
