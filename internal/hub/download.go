package hub

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Report is what a download took.
type Report struct {
	Resumed  int64 // bytes that were there from earlier
	Fetched  int64 // bytes received
	Restarts int   // times that it began anew because the hub had another file
	Meta     Meta  // of the file that was fetched, another than asked for after a restart
}

// maxRestarts bounds how often a file may change under a download.
const maxRestarts = 3

// Watch is told how a download goes; its functions may be nil.
type Watch struct {
	Start func(done, size int64) // bytes there at the start, also after a restart
	Bytes func(n int64)          // were received and written
	Check func(n int64)          // were read back for the hash
}

// Download fetches m to the file dst. When it fails or is cancelled, what was
// fetched stays beside dst and the next call goes on from there. dst is
// replaced once all of it is there and its hash is right.
func (c *Client) Download(ctx context.Context, m Meta, dst string, watch Watch) (r Report, err error) {
	j, word, err := openJournal(dst, m, c.o.ChunkSize)
	if err != nil {
		return r, fmt.Errorf("fetch %s: %w", m.Path, err)
	}
	defer func() {
		if err = errors.Join(err, j.close()); err != nil {
			err = fmt.Errorf("fetch %s: %w", m.Path, err)
		}
	}()
	if word != "" {
		c.o.Note(word + ": starting again")
	}
	f := &fetch{c: c, j: j, meta: m, watch: watch}
	r.Resumed = m.Size - j.missingBytes()
	err = f.untilUnchanged(ctx, &r)
	r.Fetched, r.Meta = f.received.Load(), f.meta
	if err != nil {
		return r, err
	}
	if err := Verify(ctx, j.part.Name(), f.meta, watch.Check); err != nil {
		var wrong *SumError
		if errors.As(err, &wrong) { // which chunk is wrong nobody knows
			err = errors.Join(err, j.discard())
		}
		return r, err
	}
	return r, j.publish()
}

// fetch is one file on its way.
type fetch struct {
	c        *Client
	j        *journal
	watch    Watch
	meta     Meta
	received atomic.Int64
	source   source
}

// untilUnchanged fetches all chunks, of another file where the hub has one by
// now.
func (f *fetch) untilUnchanged(ctx context.Context, r *Report) error {
	for round := 0; ; round++ {
		if f.watch.Start != nil {
			f.watch.Start(f.meta.Size-f.j.missingBytes(), f.meta.Size)
		}
		f.source = source{url: f.meta.source}
		err := f.all(ctx)
		var changed *ChangedError
		if !errors.As(err, &changed) || round == maxRestarts {
			return err
		}
		now, err := f.c.Resolve(ctx, f.meta.Repo, f.meta.Revision, File{Path: f.meta.Path, Size: f.meta.Size})
		if err != nil {
			return errors.Join(changed, err)
		}
		if headOf(now, f.j.head.Chunk).fits(f.j.head) { // a server's whim; the hash will tell
			f.meta.source = now.source
			continue
		}
		f.c.o.Note(changed.Error() + ": starting again")
		f.meta, r.Resumed = now, 0
		r.Restarts++
		if err := f.j.restart(now); err != nil {
			return err
		}
	}
}

// all fetches the missing chunks: the first alone, which shows whether the
// server can send parts of a file, then several at a time.
func (f *fetch) all(ctx context.Context) error {
	todo := f.j.missing()
	if len(todo) == 0 {
		return nil
	}
	err := f.chunk(ctx, todo[0], true)
	if noRanges(err) {
		f.c.o.Note("the server cannot send parts of a file: one connection from its beginning")
		return f.whole(ctx)
	}
	if err != nil {
		return err
	}
	todo = todo[1:]
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range min(f.c.o.Connections, len(todo)) {
		group.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(todo) {
					return nil
				}
				if err := f.chunk(ctx, todo[i], false); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

func noRanges(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Kind == KindNoRanges
}

// chunk fetches chunk i, each time from where the attempt before was torn. With
// first set it gives up when the server sends no ranges.
func (f *fetch) chunk(ctx context.Context, i int, first bool) error {
	from, end := f.j.head.bounds(i)
	err := f.c.again(ctx, f.c.o.Attempts, func() (bool, error) {
		began := from
		for from < end { // a server may send less than it was asked for
			n, err := f.span(ctx, from, end)
			from += n
			if first && noRanges(err) {
				return false, &finalError{err}
			}
			if err != nil {
				return from-began >= f.c.least(), err
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return f.j.finish(i)
}
