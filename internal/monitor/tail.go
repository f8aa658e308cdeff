package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Sizes of reading: a piece of a file at a time, a line that is no report, and
// what is compared to know a file again.
const (
	pieceSize   = 1 << 20
	longestLine = 1 << 20
	markSize    = 64
)

var errTooLong = fmt.Errorf("longer than %d bytes", longestLine)

// tail reads the whole lines of a file that grows, is cut off or is replaced.
type tail struct {
	path   string
	info   os.FileInfo // of the file read from, nil before the first read
	offset int64       // up to where it was read
	mark   []byte      // the bytes just before offset
	part   []byte      // the beginning of a line whose end is not there yet
	long   bool        // within a line that is too long
}

// read hands each the whole lines since the last call, in pieces of any size,
// with the number of lines that were too long to keep. reset is called first when the
// file is another one, or shorter, or was written anew.
func (t *tail) read(reset func(), each func(lines string, tooLong int) error) error {
	f, err := openRegular(t.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", t.path, err)
	}
	if t.info != nil && !t.goesOn(f, info) {
		*t = tail{path: t.path}
		reset()
	}
	t.info = info
	for buf := make([]byte, min(pieceSize, max(512, info.Size()-t.offset))); ; {
		n, err := f.ReadAt(buf, t.offset)
		if n > 0 {
			t.offset += int64(n)
			t.remember(buf[:n])
			if err := each(t.lines(buf[:n])); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", t.path, err)
		}
	}
}

// openRegular refuses what is no file: opening a pipe would wait for a writer.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", path)
	}
	return os.Open(path)
}

// goesOn tells whether f is what was read before, with or without more at its
// end.
func (t *tail) goesOn(f *os.File, info os.FileInfo) bool {
	if !os.SameFile(t.info, info) || info.Size() < t.offset {
		return false
	}
	before := make([]byte, len(t.mark))
	_, err := f.ReadAt(before, t.offset-int64(len(before)))
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(before, t.mark)
}

func (t *tail) remember(text []byte) {
	all := append(t.mark, text[max(0, len(text)-markSize):]...)
	t.mark = append([]byte(nil), all[max(0, len(all)-markSize):]...)
}

// lines joins text with what was left of the line before and keeps what has no
// end yet.
func (t *tail) lines(text []byte) (whole string, tooLong int) {
	if t.long {
		end := bytes.IndexByte(text, '\n')
		if end < 0 {
			return "", 0
		}
		text, t.long = text[end+1:], false
	}
	end := bytes.LastIndexByte(text, '\n') + 1
	if end > 0 {
		var b strings.Builder
		b.Write(t.part)
		b.Write(text[:end])
		whole, t.part = b.String(), nil
	}
	t.part = append(t.part, text[end:]...)
	if len(t.part) > longestLine {
		t.part, t.long, tooLong = nil, true, 1
	}
	return whole, tooLong
}

// caughtUp tells whether the file at path looks as it did at the last read.
func (t *tail) caughtUp(info os.FileInfo) bool {
	return t.info != nil && os.SameFile(t.info, info) && info.Size() == t.offset && info.ModTime().Equal(t.info.ModTime())
}
