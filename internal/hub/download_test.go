package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/qlora/qlora/internal/hub/hubtest"
)

const (
	repo   = "owner/model-GGUF"
	name   = "model-Q4_0.gguf"
	secret = "hf_secretsecretsecret"
	chunk  = 64 << 10
)

// bench is a server with one file of several chunks, and a client for it.
type bench struct {
	*hubtest.Server
	t       *testing.T
	content []byte
	dst     string
	mu      sync.Mutex
	notes   []string
	options Options
}

func newBench(t *testing.T, size int) *bench {
	b := &bench{Server: hubtest.New(t, repo), t: t, content: hubtest.Bytes(1, size), dst: filepath.Join(t.TempDir(), name)}
	b.Change(func() { b.Token = secret })
	b.Put(name, b.content)
	b.options = Options{
		Endpoint: b.URL(), Token: secret, ChunkSize: chunk, Connections: 4, Attempts: 4,
		Backoff: time.Millisecond, Note: b.note,
	}
	return b
}

func (b *bench) note(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, text)
}

func (b *bench) said(part string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(strings.Join(b.notes, "\n"), part)
}

// client also makes sure that no error and no note ever tells the token or the
// signature of an address.
func (b *bench) client() *Client {
	c, err := New(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if b.said("secret") {
			b.t.Errorf("a note tells a secret: %q", b.notes)
		}
		if s := b.Strangers(); len(s) > 0 {
			b.t.Errorf("the token went to the file server: %q", s)
		}
	})
	return c
}

func (b *bench) meta(c *Client) Meta {
	b.t.Helper()
	files, err := c.List(context.Background(), repo, "main")
	if err != nil {
		b.t.Fatal(err)
	}
	model, err := Choose(files, "")
	if err != nil {
		b.t.Fatal(err)
	}
	m, err := c.Resolve(context.Background(), repo, "main", model.Files[0])
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// fetch downloads and checks what every download owes: the whole file or none
// of that name, and no secret in the error.
func (b *bench) fetch() (Report, error) {
	b.t.Helper()
	c := b.client()
	r, err := c.Download(context.Background(), b.meta(c), b.dst, Watch{})
	if err != nil {
		if strings.Contains(err.Error(), "secret") {
			b.t.Errorf("the error tells a secret: %v", err)
		}
		if _, stat := os.Stat(b.dst); stat == nil {
			b.t.Errorf("the download failed, yet the file is there: %v", err)
		}
	}
	return r, err
}

func (b *bench) mustFetch() Report {
	b.t.Helper()
	r, err := b.fetch()
	if err != nil {
		b.t.Fatalf("%v (notes %q)", err, b.notes)
	}
	got, err := os.ReadFile(b.dst)
	if err != nil || !bytes.Equal(got, b.content) {
		b.t.Fatalf("the file is not the hub's (%v)", err)
	}
	b.onlyTheFile()
	return r
}

func (b *bench) onlyTheFile() {
	b.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(b.dst))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(b.dst) {
		b.t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestDownload(t *testing.T) {
	for _, size := range []int{1, chunk - 1, chunk, chunk + 1, 10*chunk + 17} {
		b := newBench(t, size)
		r := b.mustFetch()
		if r.Fetched != int64(size) || r.Resumed != 0 || b.Sent(name) != int64(size) {
			t.Errorf("%d bytes: %+v, %d sent", size, r, b.Sent(name))
		}
		if m := r.Meta; m.SHA256 != hubtest.SHA256(b.content) || m.Commit != b.Commit() || m.Checked() != "sha256" {
			t.Errorf("meta %+v", m)
		}
	}
}

func TestDownloadEmpty(t *testing.T) {
	b := newBench(t, 0)
	b.mustFetch()
}

func TestHubThatHoldsTheContentItself(t *testing.T) {
	b := newBench(t, 5*chunk)
	b.Direct = true
	b.mustFetch()
}

func TestFileKeptInGit(t *testing.T) {
	b := newBench(t, 2*chunk)
	b.PutInGit(name, b.content)
	if r := b.mustFetch(); r.Meta.Checked() != "git object" {
		t.Errorf("meta %+v", r.Meta)
	}
}

func TestListInPages(t *testing.T) {
	b := newBench(t, 10)
	b.Pages = 2
	for i := range 7 {
		b.Put(fmt.Sprintf("folder/extra-%d.gguf", i), hubtest.Bytes(2, 20))
	}
	files, err := b.client().List(context.Background(), repo, "main")
	if err != nil || len(files) != 8 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if f := files[7]; f.Path != name || f.Size != 10 || f.SHA256 != hubtest.SHA256(b.content) {
		t.Errorf("%+v", f)
	}
}

func TestRenamedRepository(t *testing.T) {
	b := newBench(t, 3*chunk)
	b.OnHub = func(w http.ResponseWriter, r *http.Request) bool {
		rest, old := strings.CutPrefix(r.URL.Path, "/old/name/")
		if old {
			http.Redirect(w, r, "/"+repo+"/"+rest, http.StatusTemporaryRedirect)
		}
		return old
	}
	m, err := b.client().Resolve(context.Background(), "old/name", "main", File{Path: name})
	if err != nil || m.Size != 3*chunk || !strings.HasPrefix(m.source.String(), b.FileURL()) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAddress(t *testing.T) {
	c, err := New(Options{Endpoint: "https://mirror.example/hf/"})
	if err != nil {
		t.Fatal(err)
	}
	got := c.address("owner/name", "refs/pr/1", "a b/c#d%2.gguf").String()
	if want := "https://mirror.example/hf/owner/name/resolve/refs%2Fpr%2F1/a%20b/c%23d%252.gguf"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		kind   Kind
	}{
		{401, "", KindToken}, {403, "", KindToken}, {401, "GatedRepo", KindGated}, {403, "GatedRepo", KindGated},
		{401, "RepoNotFound", KindNoRepo}, {404, "", KindNoRepo}, {404, "RevisionNotFound", KindNoRev},
		{404, "EntryNotFound", KindNoFile}, {429, "", KindBusy}, {500, "", KindBusy}, {400, "", KindOther},
	} {
		b := newBench(t, 10)
		asked := 0
		b.OnHub = func(w http.ResponseWriter, r *http.Request) bool {
			asked++
			hubtest.Refuse(w, c.status, c.code, "no \u009b31mway")
			return true
		}
		_, err := b.client().List(context.Background(), repo, "main")
		var status *StatusError
		if !errors.As(err, &status) || status.Kind != c.kind || status.Status != c.status {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		if strings.ContainsAny(err.Error(), "\u009b\n") || strings.Contains(err.Error(), secret) {
			t.Errorf("%q", err)
		}
		if want := map[bool]int{true: b.options.Attempts, false: 1}[c.kind == KindBusy]; asked != want {
			t.Errorf("%+v: asked %d times, want %d", c, asked, want)
		}
	}
}

func TestWrongTokenAndNone(t *testing.T) {
	for _, token := range []string{"", "hf_other"} {
		b := newBench(t, 10)
		b.options.Token = token
		_, err := b.client().List(context.Background(), repo, "main")
		var status *StatusError
		if !errors.As(err, &status) || status.Kind != KindNoRepo {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestBusyForAWhile(t *testing.T) {
	b := newBench(t, 6*chunk)
	var requests atomic.Int64
	busy := func(w http.ResponseWriter, r *http.Request) bool {
		if n := requests.Add(1); n%2 == 0 || n > 5 { // fewer refusals than the attempts of one connection
			return false
		}
		w.Header().Set("Retry-After", "0")
		hubtest.Refuse(w, http.StatusTooManyRequests, "", "slow down")
		return true
	}
	b.OnHub, b.OnFile = busy, busy
	b.mustFetch()
}

func TestHubAsksForTooLongAWait(t *testing.T) {
	b := newBench(t, 10)
	b.OnHub = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Retry-After", "86400")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	_, err := b.client().List(context.Background(), repo, "main")
	if err == nil || !strings.Contains(err.Error(), "come back in 24h") {
		t.Errorf("%v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		key, value string
		want       time.Duration
	}{
		{"Retry-After", "7", 7 * time.Second}, {"Retry-After", "-7", 0}, {"Retry-After", "soon", 0},
		{"Retry-After", now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{"Retry-After", now.Add(-time.Minute).Format(http.TimeFormat), 0},
		{"RateLimit", `"resolvers";r=0;t=55`, 55 * time.Second},
	} {
		if got := retryAfter(http.Header{http.CanonicalHeaderKey(c.key): {c.value}}, now); got != c.want {
			t.Errorf("%s: %s is %s, want %s", c.key, c.value, got, c.want)
		}
	}
}

func TestPauseGrowsAndHasAnEnd(t *testing.T) {
	c, err := New(Options{Backoff: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	for failed, base := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 500: maxWait} {
		for range 20 {
			if got := c.pause(failed, errors.New("x")); got < base/2 || got > base {
				t.Errorf("after %d: %s, want between half and all of %s", failed, got, base)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{{Endpoint: "huggingface.co"}, {Endpoint: "ftp://x"}, {Endpoint: "http://%"}, {Token: "a\nb"}, {Token: "a b"}} {
		if _, err := New(o); err == nil || o.Token != "" && strings.Contains(err.Error(), o.Token) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	c, err := New(Options{Endpoint: "http://mirror.example", Token: secret})
	if err != nil || c.TokenStays() == "" {
		t.Errorf("a token over plain HTTP: %v", err)
	}
}
