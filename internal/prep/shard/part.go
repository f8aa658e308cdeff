package shard

import (
	"bufio"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// part is one part while it is merged.
type part struct {
	path   string
	header Header
	keys   *keysReader
	file   *os.File
	in     *bufio.Reader
	sum    hash.Hash
	index  int // among the parts, from 0
	number int64
	head   entry // the record that comes next
	done   bool
}

func openPart(path string) (*part, error) {
	keys, err := openKeys(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open part: %w", err), keys.close())
	}
	p := &part{path: path, header: keys.header, keys: keys, file: f, sum: sha256.New(), number: -1}
	p.in = bufio.NewReaderSize(io.TeeReader(f, p.sum), 256<<10)
	return p, nil
}

func closeParts(list []*part) {
	for _, p := range list {
		p.keys.close() // both were only read
		p.file.Close()
	}
}

// advance reads the key of the next record and makes sure of the order.
func (p *part) advance() error {
	last := p.head.Order
	e, err := p.keys.next()
	if errors.Is(err, io.EOF) {
		p.done = true
		return nil
	}
	if err != nil {
		return err
	}
	if p.number >= 0 && e.Order < last {
		return fmt.Errorf("%w: the records of %s are not in order", ErrPart, p.path)
	}
	p.head, p.number = e, p.number+1
	return nil
}

// copyParts writes the records of all parts that are not dropped in order and
// counts them.
func copyParts(ctx context.Context, out io.Writer, list []*part, dropped []bits) (int64, error) {
	var open heads
	for i, p := range list {
		p.index = i
		if err := p.advance(); err != nil {
			return 0, err
		}
		if !p.done {
			open = append(open, p)
		}
	}
	heap.Init(&open)
	var records int64
	for len(open) > 0 {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		p := open[0]
		into := out
		if dropped[p.index].has(p.number) {
			into = io.Discard
		} else {
			records++
		}
		if _, err := io.CopyN(into, p.in, p.head.size); err != nil {
			return 0, fmt.Errorf("copy a record of %s: %w", p.path, err)
		}
		if err := p.advance(); err != nil {
			return 0, err
		}
		if p.done {
			heap.Pop(&open)
		} else {
			heap.Fix(&open, 0)
		}
	}
	return records, nil
}

// verify holds the part that was read to its footer.
func (p *part) verify() error {
	if _, err := p.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s is longer than its keys say", ErrPart, p.path)
	}
	if sum := hex.EncodeToString(p.sum.Sum(nil)); sum != p.keys.footer.SHA256 {
		return fmt.Errorf("%w: %s was changed since it was written", ErrPart, p.path)
	}
	return nil
}

// heads is a heap of parts by their next record.
type heads []*part

func (h heads) Len() int      { return len(h) }
func (h heads) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h heads) Less(i, j int) bool {
	if h[i].head.Order != h[j].head.Order {
		return h[i].head.Order < h[j].head.Order
	}
	return h[i].index < h[j].index
}
func (h *heads) Push(x any) { *h = append(*h, x.(*part)) }
func (h *heads) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
