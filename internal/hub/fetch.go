package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync"
)

// source is where the bytes of a file come from; all connections share it.
type source struct {
	mu    sync.Mutex
	url   *url.URL
	where string // that sent etag
	etag  string // of the file server, whose ETags are its own
}

func (s *source) current() *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// same tells whether an answer's ETag is that of the answers before.
func (s *source) same(where, etag string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if etag == "" || s.where != where || s.etag == "" {
		s.where, s.etag = where, cmp.Or(etag, s.etag)
		return true
	}
	return s.etag == etag
}

// span fetches the bytes from up to end and returns how many of them are in
// the partial file, also when it fails.
func (f *fetch) span(ctx context.Context, from, end int64) (int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	u := f.source.current()
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", from, end-1)}}
	resp, err := f.c.follow(ctx, http.MethodGet, u, header, false)
	if err != nil {
		return 0, err
	}
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		end, err = f.checkPart(resp, from, end)
	case resp.StatusCode == http.StatusOK && from == 0 && end == f.meta.Size:
		err = f.checkWhole(resp)
	default:
		return 0, f.refused(ctx, u, resp, from)
	}
	if err != nil {
		_ = resp.Body.Close() // drained it would be fetched in vain
		return 0, err
	}
	return f.copy(resp, cancel, from, end)
}

// copy writes a body, bytes from up to end, to its place. A torn connection is
// not drained: what it holds is fetched again on another.
func (f *fetch) copy(resp *http.Response, cancel context.CancelFunc, from, end int64) (int64, error) {
	defer resp.Body.Close()
	body := f.c.watch(resp.Body, cancel)
	defer body.stop()
	out := &counter{w: io.NewOffsetWriter(f.j.part, from), f: f}
	n, err := io.CopyN(out, body, end-from)
	switch {
	case out.err != nil:
		return n, &diskError{fmt.Errorf("write %s: %w", f.j.part.Name(), out.err)}
	case err != nil:
		return n, fmt.Errorf("%s was torn after %d of %d bytes: %w", place(resp.Request.URL), n, end-from, bare(err))
	}
	_, _ = io.CopyN(io.Discard, body, 1) // finds the end, so that the connection can be used again
	return n, nil
}

// counter passes bytes on and tells the watch of them.
type counter struct {
	w   io.Writer
	f   *fetch
	err error // of writing, told apart from those of reading
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.err = err
	c.f.received.Add(int64(n))
	if c.f.watch.Bytes != nil {
		c.f.watch.Bytes(int64(n))
	}
	return n, err
}

var contentRange = regexp.MustCompile(`^bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)$`)

// checkPart holds an answer to what was asked for and returns the byte after
// the last that it brings: a server may send less.
func (f *fetch) checkPart(resp *http.Response, from, end int64) (int64, error) {
	text := resp.Header.Get("Content-Range")
	m := contentRange.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%s sends a part and does not say which", place(resp.Request.URL))
	}
	first, _ := strconv.ParseInt(m[1], 10, 64) // digits, by the expression
	last, _ := strconv.ParseInt(m[2], 10, 64)
	if m[3] != "*" && m[3] != strconv.FormatInt(f.meta.Size, 10) {
		return 0, &ChangedError{fmt.Sprintf("it has %s bytes, no longer %d", m[3], f.meta.Size)}
	}
	if first != from || last < first || last >= end {
		return 0, fmt.Errorf("%s sends %s where bytes %d-%d were asked for", place(resp.Request.URL), text, from, end-1)
	}
	return last + 1, f.checkTag(resp)
}

func (f *fetch) checkWhole(resp *http.Response) error {
	if n := resp.ContentLength; n >= 0 && n != f.meta.Size {
		return &ChangedError{fmt.Sprintf("it has %d bytes, no longer %d", n, f.meta.Size)}
	}
	return f.checkTag(resp)
}

// checkTag finds a file that changed while it was being fetched. The hub's own
// ETag is the one that the download is pinned to, a file server's is not.
func (f *fetch) checkTag(resp *http.Response) error {
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return fmt.Errorf("%s sends the file encoded as %s", place(resp.Request.URL), printable(enc))
	}
	etag, want := normalETag(cmp.Or(resp.Header.Get("X-Linked-Etag"), resp.Header.Get("ETag"))), f.meta.ETag
	if f.c.isHub(resp.Request.URL) {
		if etag != "" && want != "" && etag != want {
			return &ChangedError{"its ETag is another"}
		}
		return nil
	}
	if !f.source.same(place(resp.Request.URL), etag) {
		return &ChangedError{"its ETag on the file server is another"}
	}
	return nil
}

// refused makes an error of an answer without the bytes that were asked for.
func (f *fetch) refused(ctx context.Context, u *url.URL, resp *http.Response, from int64) error {
	switch resp.StatusCode {
	case http.StatusOK:
		_ = resp.Body.Close() // the whole file, unasked for
		return &StatusError{Place: place(resp.Request.URL), Status: resp.StatusCode, Kind: KindNoRanges,
			Message: "it sends the whole file where a part was asked for"}
	case http.StatusRequestedRangeNotSatisfiable:
		drain(resp)
		return &ChangedError{fmt.Sprintf("it has no byte %d any more", from)}
	}
	err := f.c.statusError(resp)
	var status *StatusError
	if errors.As(err, &status) && !status.hub && status.Kind != KindBusy {
		return f.renew(ctx, u, status) // addresses on file servers are signed and expire
	}
	return err
}

// renew asks the hub anew where the file is, once for all connections. It
// returns an error that is worth another attempt, or the hub's own.
func (f *fetch) renew(ctx context.Context, old *url.URL, why *StatusError) error {
	f.source.mu.Lock()
	defer f.source.mu.Unlock()
	if f.source.url != old {
		return errors.New(why.Error())
	}
	now, err := f.c.Resolve(ctx, f.meta.Repo, cmp.Or(f.meta.Commit, f.meta.Revision), File{Path: f.meta.Path, Size: f.meta.Size})
	var gone *StatusError
	switch {
	case errors.As(err, &gone) && (gone.Kind == KindNoRev || gone.Kind == KindNoFile):
		return &ChangedError{"its commit is gone"}
	case err != nil && !worthAnother(err):
		return &finalError{errors.Join(why, err)}
	case err != nil:
		return err
	}
	if now.ETag != f.meta.ETag || now.Size != f.meta.Size {
		return &ChangedError{"its ETag is another"}
	}
	f.source.url, f.source.etag = now.source, ""
	return errors.New(why.Error())
}

// whole fetches the file from a server that sends no parts: in order, on one
// connection, passing over what is there.
func (f *fetch) whole(ctx context.Context) error {
	return f.c.again(ctx, f.c.o.Attempts, func() (bool, error) {
		before := f.j.missingBytes()
		err := f.stream(ctx)
		return f.j.missingBytes() < before, err
	})
}

func (f *fetch) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	u := f.source.current()
	resp, err := f.c.follow(ctx, http.MethodGet, u, nil, false)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return f.refused(ctx, u, resp, 0)
	}
	defer resp.Body.Close()
	if err := f.checkWhole(resp); err != nil {
		return err
	}
	body := f.c.watch(resp.Body, cancel)
	defer body.stop()
	for i, done := range append([]bool(nil), f.j.done...) {
		if err := f.streamChunk(body, i, done); err != nil {
			return fmt.Errorf("%s: %w", place(resp.Request.URL), err)
		}
	}
	return nil
}

func (f *fetch) streamChunk(body io.Reader, i int, done bool) error {
	from, end := f.j.head.bounds(i)
	if done {
		_, err := io.CopyN(io.Discard, body, end-from)
		return err
	}
	out := &counter{w: io.NewOffsetWriter(f.j.part, from), f: f}
	_, err := io.CopyN(out, body, end-from)
	switch {
	case out.err != nil:
		return &diskError{fmt.Errorf("write %s: %w", f.j.part.Name(), out.err)}
	case err != nil:
		return fmt.Errorf("torn in chunk %d: %w", i, bare(err))
	}
	return f.j.finish(i)
}
