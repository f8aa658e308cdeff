package extsort

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// runBuffer is read ahead of each run while runs are merged, bytes.
const runBuffer = 256 << 10

// run is one sorted file: entries as length (uvarint) and bytes.
type run struct {
	file *os.File
	in   *bufio.Reader
	head []byte // the entry to give next
	rank int    // of the run, so that equal entries keep one order
}

func (r *run) write(s *Sorter) error {
	out := bufio.NewWriterSize(r.file, runBuffer)
	var size [binary.MaxVarintLen64]byte
	for _, at := range s.spans {
		if _, err := out.Write(size[:binary.PutUvarint(size[:], uint64(at.size))]); err != nil {
			return err
		}
		if _, err := out.Write(s.entry(at)); err != nil {
			return err
		}
	}
	return out.Flush()
}

// next reads the entry after head, or returns io.EOF.
func (r *run) next() error {
	size, err := binary.ReadUvarint(r.in)
	if err != nil {
		return err
	}
	if uint64(cap(r.head)) < size {
		r.head = make([]byte, size)
	}
	r.head = r.head[:size]
	if _, err = io.ReadFull(r.in, r.head); errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// merge visits the entries of all runs and of the memory.
func (s *Sorter) merge(visit func([]byte) error) error {
	if len(s.spans) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	var open heads
	for i, r := range s.runs {
		r.rank = i
		if err := rewind(r.file); err != nil {
			return fmt.Errorf("read back a sorted run: %w", err)
		}
		r.in = bufio.NewReaderSize(r.file, runBuffer)
		if err := r.next(); err != nil {
			return fmt.Errorf("read back a sorted run: %w", err)
		}
		open = append(open, r)
	}
	heap.Init(&open)
	for len(open) > 0 {
		r := open[0]
		if err := visit(r.head); err != nil {
			return err
		}
		switch err := r.next(); {
		case err == nil:
			heap.Fix(&open, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&open)
		default:
			return fmt.Errorf("read back a sorted run: %w", err)
		}
	}
	return nil
}

// heads is a heap of runs by their next entry.
type heads []*run

func (h heads) Len() int      { return len(h) }
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heads) Less(i, j int) bool {
	if c := bytes.Compare(h[i].head, h[j].head); c != 0 {
		return c < 0
	}
	return h[i].rank < h[j].rank
}
func (h *heads) Push(x any) { *h = append(*h, x.(*run)) }
func (h *heads) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
