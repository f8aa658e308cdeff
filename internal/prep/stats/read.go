package stats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
)

const (
	batchBytes = 256 << 10 // lines are handed to workers together
	heldBytes  = 64 << 20  // lines that are on their way at once
)

// batch is some lines of a file on their way through the workers.
type batch struct {
	samples []sample
	lines   [][]byte // nil for a line that is known to be unusable
	size    int64    // bytes of the file
	weight  int64    // of the semaphore
	ready   chan struct{}
}

// pipeline reads one file: a reader, workers, and the caller, who gets the
// samples back in the order of the lines.
type pipeline struct {
	path    string
	encoder Encoder
	workers int
	room    *semaphore.Weighted
	ordered chan *batch
	work    chan *batch
	readErr error // valid once ordered is closed
}

// eachBatch calls visit with the batches of a file, in order.
func eachBatch(ctx context.Context, path string, o Options, visit func(*batch) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := dataset.Open(ctx, path, o.Progress)
	if err != nil {
		return fmt.Errorf("read data: %w", err)
	}
	defer f.Close()
	workers := o.Workers
	p := &pipeline{path: path, encoder: o.Encoder, workers: workers, room: semaphore.NewWeighted(heldBytes),
		ordered: make(chan *batch, 4*workers), work: make(chan *batch, 4*workers)}
	var group sync.WaitGroup
	group.Go(func() { p.read(ctx, f) })
	for range workers {
		group.Go(p.measure)
	}
	var failed error
	for b := range p.ordered {
		<-b.ready
		p.room.Release(b.weight)
		if failed != nil {
			continue // let the goroutines run dry
		}
		if failed = visit(b); failed != nil {
			cancel()
		}
	}
	group.Wait()
	if failed != nil {
		return failed
	}
	return p.readErr
}

func (p *pipeline) measure() {
	for b := range p.work {
		for i, line := range b.lines {
			if line != nil {
				b.samples[i].measure(line, p.encoder)
			}
		}
		b.lines = nil
		close(b.ready)
	}
}

// read cuts the file into batches until it ends, fails, or ctx is done.
func (p *pipeline) read(ctx context.Context, r io.Reader) {
	defer close(p.ordered)
	defer close(p.work)
	lines := prep.NewLines(r, dataset.MaxLine)
	b := p.newBatch()
	for {
		line, err := lines.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				p.readErr = fmt.Errorf("read %s: %w", p.path, err)
			} else {
				p.readErr = p.send(ctx, b)
			}
			return
		}
		b.add(p.path, line)
		if b.size >= batchBytes {
			if p.readErr = p.send(ctx, b); p.readErr != nil {
				return
			}
			b = p.newBatch()
		}
	}
}

func (p *pipeline) newBatch() *batch { return &batch{ready: make(chan struct{})} }

var byteOrderMark = []byte("\xef\xbb\xbf")

func (b *batch) add(path string, line prep.Line) {
	b.size += line.Size
	if line.Number == 1 {
		line.Data = bytes.TrimPrefix(line.Data, byteOrderMark)
	}
	if line.Blank() {
		return
	}
	s := sample{file: path, line: line.Number, size: line.Size}
	var data []byte
	if line.TooLong {
		s.err = errTooLong
	} else {
		data = bytes.Clone(line.Data)
	}
	b.samples = append(b.samples, s)
	b.lines = append(b.lines, data)
}

// send waits for room before it hands a batch on.
func (p *pipeline) send(ctx context.Context, b *batch) error {
	if b.size == 0 {
		return ctx.Err()
	}
	b.weight = min(b.size, heldBytes)
	if err := p.room.Acquire(ctx, b.weight); err != nil {
		return err
	}
	p.ordered <- b
	p.work <- b
	return ctx.Err()
}
