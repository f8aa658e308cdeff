package dataset

import (
	"context"
	"io"
)

// interruptible reads from a terminal or a pipe, where a read may wait for
// ever, until its context is done. A read that is under way then is left
// behind.
type interruptible struct {
	ctx context.Context
	r   io.Reader
	buf []byte
}

// Interruptible reads from r, for one caller, until ctx is done.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	return &interruptible{ctx: ctx, r: r, buf: make([]byte, 256<<10)}
}

// Read is for one caller; after its context is done it only fails.
func (i *interruptible) Read(p []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, i.ctx.Err()
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	buf := i.buf[:min(len(p), len(i.buf))]
	go func() {
		n, err := i.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	}
}
