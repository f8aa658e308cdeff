package monitor

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
)

// A file that is larger than previewFrom is looked at in a few places before it
// is read through, so that its curve shows at once.
const (
	previewFrom  = 4 << 20
	previewLines = 500
	previewPiece = 4 << 10 // holds two lines nearly always
)

// wantsPreview tells whether the file is large and nothing of it shows yet.
func (r *run) wantsPreview() bool {
	if r.loaded || r.preview != nil {
		return false
	}
	info, err := os.Stat(r.tail.path)
	return err == nil && info.Size() > previewFrom
}

// readPreview makes a table of lines at even distances, the last one with them.
func (r *run) readPreview() error {
	t := newTable()
	f, err := openRegular(r.tail.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	last := info.Size() - previewPiece
	buf := make([]byte, previewPiece)
	for i := range int64(previewLines + 1) {
		n, err := f.ReadAt(buf, i*last/previewLines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		line := wholeLine(buf[:n], i == previewLines)
		if parsed, err := parseRow(line); err == nil { // the thorough reading counts bad lines
			t.add(parsed)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.preview = t
	return nil
}

// wholeLine is the first line of text that has its beginning and its end
// there, or the last one.
func wholeLine(text []byte, last bool) string {
	_, text, _ = bytes.Cut(text, []byte{'\n'})
	end := bytes.LastIndexByte(text, '\n')
	if end < 0 {
		return ""
	}
	text = text[:end]
	if last {
		text = text[bytes.LastIndexByte(text, '\n')+1:]
	} else {
		text, _, _ = bytes.Cut(text, []byte{'\n'})
	}
	return strings.TrimSpace(string(text))
}

// current is the table to show, the caller holding mu.
func (r *run) current() *table {
	if !r.loaded && r.preview != nil {
		return r.preview
	}
	return r.table
}
