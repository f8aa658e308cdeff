package shard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/qlora/qlora/internal/prep"
)

// keyLine is the line of one record: [order, id, rank, bytes].
func keyLine(k Key, size int64) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode([]any{k.Order, k.ID, k.Rank, size})
	return b.Bytes(), err
}

// keysFile is the file of keys while it is written; of a whole run there is
// none, and all methods do nothing.
type keysFile struct{ file *prep.File }

func newKeys(out string, h Header) (*keysFile, error) {
	if !h.Part() {
		return &keysFile{}, nil
	}
	f, err := prep.Create(KeysPath(out))
	if err != nil {
		return nil, err
	}
	return &keysFile{file: f}, f.WriteJSON(h)
}

func (k *keysFile) add(line []byte) error {
	if k.file == nil {
		return nil
	}
	_, err := k.file.Write(line)
	return err
}

func (k *keysFile) finish(r *Result) error {
	if k.file == nil {
		return nil
	}
	return k.file.WriteJSON(footer(*r))
}

func (k *keysFile) commit() error {
	if k.file == nil {
		return nil
	}
	return k.file.Commit()
}

func (k *keysFile) abort() error {
	if k.file == nil {
		return nil
	}
	return k.file.Abort()
}

// entry is one record of a part.
type entry struct {
	Key
	size int64
}

// UnmarshalJSON reads [order, id, rank, bytes].
func (e *entry) UnmarshalJSON(text []byte) error {
	var fields []json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	into := []any{&e.Order, &e.ID, &e.Rank, &e.size}
	if len(fields) != len(into) {
		return fmt.Errorf("%d fields, want %d", len(fields), len(into))
	}
	for i, f := range fields {
		if err := json.Unmarshal(f, into[i]); err != nil {
			return err
		}
	}
	if e.size < 1 {
		return errors.New("a record without bytes")
	}
	return nil
}

// keysReader reads a file of keys.
type keysReader struct {
	path   string
	file   *os.File
	lines  *prep.Lines
	header Header
	footer *footer // once Next gave io.EOF
}

// openKeys reads the header of the keys of the part out.
func openKeys(out string) (*keysReader, error) {
	f, err := os.Open(KeysPath(out))
	if err != nil {
		return nil, fmt.Errorf("open the keys of %s: %w", out, err)
	}
	r, err := newKeysReader(f, KeysPath(out))
	if err != nil {
		f.Close() // nothing was written to it
		return nil, err
	}
	r.file = f
	return r, nil
}

func newKeysReader(in io.Reader, path string) (*keysReader, error) {
	r := &keysReader{path: path, lines: prep.NewLines(in, 0)}
	line, err := r.lines.Next()
	if err == nil {
		err = json.Unmarshal(line.Data, &r.header)
	}
	h := r.header
	if err != nil || h.Format != format || h.Version != version || h.Index < 1 || h.Index > h.Count {
		return nil, fmt.Errorf("%w: %s does not begin with the header of a part", ErrPart, path)
	}
	return r, nil
}

// next returns the next record, or io.EOF after the footer.
func (r *keysReader) next() (entry, error) {
	line, err := r.lines.Next()
	switch {
	case errors.Is(err, io.EOF):
		return entry{}, fmt.Errorf("%w: %s has no footer: the run that wrote it did not finish", ErrPart, r.path)
	case err != nil:
		return entry{}, fmt.Errorf("read %s: %w", r.path, err)
	case line.TooLong:
		return entry{}, fmt.Errorf("%w: %s:%d: over-long line", ErrPart, r.path, line.Number)
	}
	if bytes.HasPrefix(line.Data, []byte("{")) {
		var last footer
		if err := json.Unmarshal(line.Data, &last); err != nil {
			return entry{}, fmt.Errorf("%w: %s:%d: %w", ErrPart, r.path, line.Number, err)
		}
		r.footer = &last
		return entry{}, io.EOF
	}
	var e entry
	if err := json.Unmarshal(line.Data, &e); err != nil {
		return entry{}, fmt.Errorf("%w: %s:%d: %w", ErrPart, r.path, line.Number, err)
	}
	return e, nil
}

func (r *keysReader) close() error { return r.file.Close() }
