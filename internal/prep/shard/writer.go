package shard

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/extsort"
)

// Writer writes the records of one part, or of a whole run, in any order; the
// output appears on Commit. It is for one goroutine.
type Writer struct {
	out     string
	header  Header
	spool   *os.File // records as they came
	buf     *bufio.Writer
	order   *extsort.Sorter // place, then offset, size, and the key as JSON
	claims  *claims
	number  int64
	offset  int64
	line    bytes.Buffer
	entry   []byte
	dropped prep.Tally
	done    bool
}

// NewWriter starts the output out of the run that h describes. Temporary data
// goes to the folder of out, which is made when it is missing.
func NewWriter(out string, h Header) (*Writer, error) {
	h.Format, h.Version = format, version
	dir := filepath.Dir(out)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", out, err)
	}
	spool, err := extsort.Unnamed(dir)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", out, err)
	}
	return &Writer{
		out: out, header: h, spool: spool, buf: bufio.NewWriterSize(spool, 256<<10),
		order: extsort.New(dir, keyBudget), claims: newClaims(dir), dropped: prep.Tally{},
	}, nil
}

// Write adds a record under its key: any value as JSON, or one line of JSON
// without its end as json.RawMessage, which is copied as it is.
func (w *Writer) Write(key Key, record any) error {
	if err := w.encode(record); err != nil {
		return fmt.Errorf("add a record to %s: %w", w.out, err)
	}
	key = key.valid()
	at := place{order: key.Order, number: w.number}
	if err := w.remember(key, at); err != nil {
		return fmt.Errorf("add a record to %s: %w", w.out, err)
	}
	if _, err := w.buf.Write(w.line.Bytes()); err != nil {
		return fmt.Errorf("add a record to %s: %w", w.out, err)
	}
	w.number++
	w.offset += int64(w.line.Len())
	return nil
}

// Drop counts what the command left out; the counts travel with the part.
func (w *Writer) Drop(t prep.Tally) { w.dropped.Merge(t) }

func (w *Writer) encode(record any) error {
	w.line.Reset()
	if raw, ok := record.(json.RawMessage); ok {
		if bytes.IndexByte(raw, '\n') >= 0 {
			return errors.New("a raw record must be one line")
		}
		w.line.Write(raw)
		return w.line.WriteByte('\n')
	}
	enc := json.NewEncoder(&w.line)
	enc.SetEscapeHTML(false)
	return enc.Encode(record)
}

// remember files the key: where the record is, and what it claims.
func (w *Writer) remember(key Key, at place) error {
	if err := w.claims.add(key, at); err != nil {
		return err
	}
	e := appendPlace(w.entry[:0], at)
	head := len(e)
	e = binary.BigEndian.AppendUint64(e, uint64(w.offset))
	e = binary.BigEndian.AppendUint64(e, uint64(w.line.Len()))
	if w.header.Part() {
		text, err := keyLine(key, int64(w.line.Len()))
		if err != nil {
			return err
		}
		e = append(e, text...)
	}
	e = binary.BigEndian.AppendUint32(e, uint32(head))
	w.entry = e
	return w.order.Add(e)
}

// Commit sorts, leaves out records that give way to others of their ID, and
// names the output; for a part, the keys too.
func (w *Writer) Commit() (*Result, error) {
	if w.done {
		return nil, fmt.Errorf("commit %s: already closed", w.out)
	}
	defer w.Abort()
	if err := w.buf.Flush(); err != nil {
		return nil, fmt.Errorf("write %s: %w", w.out, err)
	}
	dropped, lost, err := w.claims.losers(1)
	if err != nil {
		return nil, fmt.Errorf("find copies for %s: %w", w.out, err)
	}
	out, err := prep.Create(w.out)
	if err != nil {
		return nil, err
	}
	defer out.Abort()
	keys, err := newKeys(w.out, w.header)
	if err != nil {
		return nil, err
	}
	defer keys.abort()
	result := &Result{Records: w.number - lost, Duplicates: lost, Dropped: w.dropped}
	if err := w.copySorted(out, keys, dropped[0]); err != nil {
		return nil, fmt.Errorf("write %s: %w", w.out, err)
	}
	result.Bytes, result.SHA256 = out.Size(), out.SHA256()
	if err := keys.finish(result); err != nil {
		return nil, err
	}
	if err := out.Commit(); err != nil {
		return nil, err
	}
	return result, keys.commit() // last: without its keys a part is not complete
}

func (w *Writer) copySorted(out io.Writer, keys *keysFile, dropped bits) error {
	return w.order.Each(func(e []byte) error {
		head := binary.BigEndian.Uint32(e[len(e)-4:])
		rest := e[head : len(e)-4]
		if _, number := placeOf(e[:head]); dropped.has(number) {
			return nil
		}
		offset, size := int64(binary.BigEndian.Uint64(rest)), int64(binary.BigEndian.Uint64(rest[8:]))
		if _, err := io.Copy(out, io.NewSectionReader(w.spool, offset, size)); err != nil {
			return err
		}
		return keys.add(rest[16:])
	})
}

// Abort throws away what was written; after Commit it does nothing, so it can
// be deferred.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	return errors.Join(w.spool.Close(), w.order.Close(), w.claims.close())
}
