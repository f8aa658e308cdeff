package split

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/qlora/qlora/internal/prep"
)

// blockBytes is the size of the pieces that inputs are read in. Shards of one
// run share it, so it is part of the form of parts.
const blockBytes = 1 << 20

// readBlock describes the lines of an input that begin in [start, end).
func (a *analyst) readBlock(f io.ReaderAt, b *block) error {
	buf := make([]byte, b.end-b.start)
	switch _, err := f.ReadAt(buf, b.start); {
	case errors.Is(err, io.EOF):
		return ErrChanged
	case err != nil:
		return fmt.Errorf("read: %w", err)
	}
	b.hash = xxhash.Sum64(buf)
	at, err := firstLine(f, b.start, buf)
	if err != nil {
		return err
	}
	text := string(buf[at:])
	for text != "" {
		offset := b.end - int64(len(text))
		line, rest, ended := strings.Cut(text, "\n")
		b.lines++
		if !ended {
			tail, err := restOfLine(f, b.end, prep.MaxLine-len(line))
			if err != nil {
				return err
			}
			if tail == nil {
				b.problems = append(b.problems, problem{b.lines, reasonTooLong, reasonTooLong})
				return nil
			}
			line += string(tail)
		}
		a.addLine(b, offset, line)
		text = rest
	}
	return nil
}

// firstLine is where the first line that begins in a block begins.
func firstLine(f io.ReaderAt, start int64, buf []byte) (int, error) {
	if start == 0 {
		return 0, nil
	}
	var before [1]byte
	if _, err := f.ReadAt(before[:], start-1); err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	if before[0] == '\n' {
		return 0, nil
	}
	if i := bytes.IndexByte(buf, '\n'); i >= 0 {
		return i + 1, nil
	}
	return len(buf), nil
}

// restOfLine reads from an offset to the end of the line, without it: nil when
// that is more than limit bytes.
func restOfLine(f io.ReaderAt, from int64, limit int) ([]byte, error) {
	rest := []byte{}
	piece := make([]byte, 256<<10)
	for {
		n, err := f.ReadAt(piece, from)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read: %w", err)
		}
		i := bytes.IndexByte(piece[:n], '\n')
		if i >= 0 {
			n = i
		}
		if len(rest)+n > limit {
			return nil, nil
		}
		rest = append(rest, piece[:n]...)
		if i >= 0 || errors.Is(err, io.EOF) {
			return rest, nil
		}
		from += int64(n)
	}
}

// addLine describes one line at an offset of the input.
func (a *analyst) addLine(b *block, offset int64, line string) {
	text := trimLine(line)
	if text == "" {
		return
	}
	f, err := a.describe(text)
	if err != nil {
		b.problems = append(b.problems, problem{b.lines, problemReason(err), err.Error()})
		return
	}
	f.offset = offset + int64(strings.Index(line, text))
	b.features = append(b.features, f)
}
