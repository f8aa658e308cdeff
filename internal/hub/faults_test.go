package hub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/hub/hubtest"
)

func TestTornConnections(t *testing.T) {
	b := newBench(t, 9*chunk+5)
	b.Tear = 20 << 10 // of 64 KiB: each chunk takes four connections
	b.options.LeastRate = 1
	r := b.mustFetch()
	if r.Fetched != int64(len(b.content)) || b.Sent(name) != r.Fetched {
		t.Errorf("%d bytes sent, %d fetched of %d: each attempt goes on where the last was torn", b.Sent(name), r.Fetched, len(b.content))
	}
}

func TestTornWithoutProgress(t *testing.T) {
	b := newBench(t, 3*chunk)
	b.Tear = 10
	_, err := b.fetch()
	if err == nil || !strings.Contains(err.Error(), "after 4 attempts") || !strings.Contains(err.Error(), "torn") {
		t.Fatalf("%v", err)
	}
	b.Change(func() { b.Tear = 0 })
	b.mustFetch()
}

func TestServerIgnoresRanges(t *testing.T) {
	b := newBench(t, 5*chunk+1)
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Range")
		return false
	}
	b.mustFetch()
	if !b.said("cannot send parts") || b.Requests() != 2 {
		t.Errorf("%d requests, where two are enough; notes %q", b.Requests(), b.notes)
	}
}

func TestServerIgnoresRangesAndTears(t *testing.T) {
	b := newBench(t, 5*chunk+1)
	var requests atomic.Int64
	b.Tear = 2*chunk + 100
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("Range")
		if requests.Add(1) == 4 {
			b.Change(func() { b.Tear = 0 })
		}
		return false
	}
	b.mustFetch()
}

func TestSlowBody(t *testing.T) {
	b := newBench(t, 3*chunk)
	var requests, slow atomic.Int64
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		if requests.Add(1) > 2 {
			return false
		}
		slow.Add(1)
		from, end := asked(t, r)
		w.Header().Set("Content-Length", strconv.Itoa(end-from))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, end-1, len(b.content)))
		w.WriteHeader(http.StatusPartialContent)
		for ; from < end && r.Context().Err() == nil; from++ { // a byte now and then
			_, _ = w.Write(b.content[from : from+1])
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
		return true
	}
	b.options.IdleTimeout = 400 * time.Millisecond
	b.options.LeastRate = 10000
	b.mustFetch()
	if slow.Load() != 2 {
		t.Errorf("%d slow answers", slow.Load())
	}
}

// asked are the first byte of the range in a request and the one after its last.
func asked(t *testing.T, r *http.Request) (from, end int) {
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &end); err != nil {
		t.Errorf("%s %q: %v", r.Method, r.Header.Get("Range"), err)
	}
	return from, end + 1
}

func TestSlowForEver(t *testing.T) {
	b := newBench(t, chunk)
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Content-Length", "65536")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return true
	}
	b.options.IdleTimeout = 50 * time.Millisecond
	if _, err := b.fetch(); err == nil || !strings.Contains(err.Error(), "fewer than") {
		t.Errorf("%v", err)
	}
}

func TestWrongContent(t *testing.T) {
	b := newBench(t, 4*chunk)
	wrong := append([]byte(nil), b.content...)
	wrong[3*chunk]++
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(wrong)))
		return true
	}
	_, err := b.fetch()
	var sum *SumError
	if !errors.As(err, &sum) || sum.Want != hubtest.SHA256(b.content) || sum.Got != hubtest.SHA256(wrong) {
		t.Fatalf("%v", err)
	}
	for _, suffix := range []string{PartSuffix, JournalSuffix} {
		if _, err := os.Stat(b.dst + suffix); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is kept: %v", suffix, err)
		}
	}
}

func TestWrongSize(t *testing.T) {
	for label, content := range map[string]string{"shorter": strings.Repeat("x", 3*chunk), "longer": strings.Repeat("x", 5*chunk), "shorter than a chunk": "x"} {
		for _, ranges := range []bool{true, false} {
			b := newBench(t, 4*chunk)
			b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
				if !ranges {
					r.Header.Del("Range")
				}
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
				return true
			}
			_, err := b.fetch()
			var changed *ChangedError
			if !errors.As(err, &changed) {
				t.Errorf("%s, ranges %t: %v", label, ranges, err)
			}
		}
	}
}

// TestOddRanges answers with other bytes than were asked for.
func TestOddRanges(t *testing.T) {
	for _, text := range []string{"", "bytes 1-65535/262144", "bytes 0-65536/262144", "bytes 5-4/262144", "bytes */262144", "chunks 0-1/2"} {
		b := newBench(t, 4*chunk)
		b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Range", text)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(b.content[:chunk])
			return true
		}
		if _, err := b.fetch(); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestServerSendsLess is within the rights of a server.
func TestServerSendsLess(t *testing.T) {
	b := newBench(t, 4*chunk)
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		from, end := asked(t, r)
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, min(end, from+20000)-1))
		return false
	}
	if r := b.mustFetch(); r.Fetched != 4*chunk {
		t.Errorf("%+v", r)
	}
}

// TestSignedAddressExpires: the file server wants a new address from time to
// time, which the hub gives.
func TestSignedAddressExpires(t *testing.T) {
	for _, status := range []int{401, 403, 404, 410} {
		b := newBench(t, 12*chunk)
		var n atomic.Int64
		b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
			at := n.Add(1)
			if at == 3 || at == 7 || at == 11 { // fewer than the attempts of one connection
				w.WriteHeader(status)
				return true
			}
			return false
		}
		b.mustFetch()
	}
}

// TestAddressExpiresAndCommitIsGone: a history that was rewritten leaves nothing
// to go on with.
func TestAddressExpiresAndCommitIsGone(t *testing.T) {
	b := newBench(t, 12*chunk)
	now := hubtest.Bytes(4, 12*chunk)
	var n atomic.Int64
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		if n.Add(1) != 5 {
			return false
		}
		b.Put(name, now)
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	b.content = now
	if r := b.mustFetch(); r.Restarts == 0 {
		t.Errorf("%+v", r)
	}
}

// TestFileServerIsGone: the error names the place, without what signs it.
func TestFileServerIsGone(t *testing.T) {
	b := newBench(t, chunk)
	m := b.meta(b.client())
	m.source = &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/store", RawQuery: "signature=secret"}
	_, err := b.client().Download(context.Background(), m, b.dst, Watch{})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "http://127.0.0.1:1/store") {
		t.Errorf("%v", err)
	}
}

func TestFileServerRefusesForGood(t *testing.T) {
	b := newBench(t, 2*chunk)
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	if _, err := b.fetch(); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("%v", err)
	}
}

func TestRedirects(t *testing.T) {
	for _, target := range []string{"", "ftp://x/y", "https://", "/loop"} {
		b := newBench(t, 10)
		b.OnHub = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Location", target)
			w.WriteHeader(http.StatusFound)
			return true
		}
		if _, err := b.client().List(context.Background(), repo, "main"); err == nil {
			t.Errorf("a redirect to %q is taken", target)
		}
	}
}

func TestNoRedirectFromHTTPSToHTTP(t *testing.T) {
	var asked atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer plain.Close()
	safe := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer safe.Close()
	c, err := New(Options{Endpoint: safe.URL, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport = safe.Client().Transport
	if _, err := c.List(context.Background(), repo, "main"); err == nil || !strings.Contains(err.Error(), "from https to http") || asked.Load() > 0 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestNoNextPageFromHTTPSToHTTP(t *testing.T) {
	var asked atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer plain.Close()
	safe := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "<"+plain.URL+">; rel=\"next\"")
		_, _ = w.Write([]byte("[]"))
	}))
	defer safe.Close()
	c, err := New(Options{Endpoint: safe.URL, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport = safe.Client().Transport
	if _, err := c.List(context.Background(), repo, "main"); err == nil || !strings.Contains(err.Error(), "without https") || asked.Load() > 0 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

func TestHostileListing(t *testing.T) {
	for _, body := range []string{`[{"type":"file","path":"x\u001b[2J.gguf"}]`, `[{"type":"file","path":"x","size":-1}]`, `{"error":"x"}`, `[`, ""} {
		b := newBench(t, 10)
		b.OnHub = func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = w.Write([]byte(body))
			return true
		}
		if files, err := b.client().List(context.Background(), repo, "main"); err == nil {
			t.Errorf("%q is taken for %v", body, files)
		}
	}
}
