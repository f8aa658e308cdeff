package prep

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxLine is the longest line that is read, in bytes. Session logs hold whole
// files and images in one line; tens of megabytes have been seen.
const MaxLine = 256 << 20

// Line is one line of a file, without its end.
type Line struct {
	Data    []byte // valid until the next call of Next; nil when TooLong
	Number  int    // from 1
	Size    int64  // bytes in the file, end of line included
	Open    bool   // the file ends without ending this line: it may be torn
	TooLong bool   // longer than the cap; its bytes were skipped
}

// Blank tells whether the line holds white space only.
func (l Line) Blank() bool { return !l.TooLong && len(bytes.TrimSpace(l.Data)) == 0 }

// Lines reads a stream line by line, however long the lines are. A line over
// the cap is skipped and reported, never cut; memory stays under the cap.
type Lines struct {
	r      *bufio.Reader
	limit  int
	buf    []byte
	number int
}

// NewLines reads from r with a cap of limit bytes a line; 0 means MaxLine.
func NewLines(r io.Reader, limit int) *Lines {
	if limit <= 0 {
		limit = MaxLine
	}
	return &Lines{r: bufio.NewReaderSize(r, 256<<10), limit: limit}
}

// Next returns the next line, or io.EOF.
func (l *Lines) Next() (Line, error) {
	l.buf = l.buf[:0]
	line := Line{Number: l.number + 1}
	for {
		part, err := l.r.ReadSlice('\n')
		line.Size += int64(len(part))
		l.keep(&line, part)
		switch {
		case err == nil:
			return l.finish(line), nil
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && line.Size > 0:
			line.Open = true
			return l.finish(line), nil
		case errors.Is(err, io.EOF):
			return Line{}, io.EOF
		default:
			return Line{}, fmt.Errorf("read line %d: %w", line.Number, err)
		}
	}
}

// keep gathers the parts of a line until it exceeds the cap.
func (l *Lines) keep(line *Line, part []byte) {
	if line.TooLong {
		return
	}
	if len(l.buf)+len(bytes.TrimRight(part, "\r\n")) > l.limit {
		line.TooLong = true
		l.buf = l.buf[:0]
		return
	}
	l.buf = append(l.buf, part...)
}

func (l *Lines) finish(line Line) Line {
	l.number++
	if line.TooLong {
		return line
	}
	line.Data = bytes.TrimSuffix(bytes.TrimSuffix(l.buf, []byte("\n")), []byte("\r"))
	return line
}
