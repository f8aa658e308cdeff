package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/qlora/qlora/internal/hub/hubtest"
)

// fail makes the file server refuse everything after n answers.
func (b *bench) fail(n int64) {
	var answers atomic.Int64
	b.OnFile = func(w http.ResponseWriter, r *http.Request) bool {
		if answers.Add(1) <= n {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
}

func TestResume(t *testing.T) {
	b := newBench(t, 10*chunk+3)
	b.fail(6)
	if _, err := b.fetch(); err == nil {
		t.Fatal("the server failed, the download did not")
	}
	m := b.meta(b.client())
	missing, err := Missing(b.dst, m)
	if err != nil || missing < 4*chunk+3 || missing > 8*chunk+3 {
		t.Errorf("%d bytes missing, %v", missing, err)
	}
	b.Change(func() { b.OnFile = nil })
	r := b.mustFetch()
	if r.Resumed+r.Fetched != int64(len(b.content)) || r.Fetched != missing || b.Sent(name) > int64(len(b.content)+4*chunk) {
		t.Errorf("%+v, %d sent: no more than a chunk for each connection may be fetched twice", r, b.Sent(name))
	}
}

func TestResumeKeepsItsChunks(t *testing.T) {
	b := newBench(t, 10*chunk)
	b.fail(5)
	if _, err := b.fetch(); err == nil {
		t.Fatal("the server failed, the download did not")
	}
	b.Change(func() { b.OnFile = nil })
	b.options.ChunkSize = 3 * chunk / 2
	if r := b.mustFetch(); r.Resumed == 0 || r.Resumed%chunk != 0 || b.Sent(name) > int64(len(b.content)+4*chunk) {
		t.Errorf("%+v, %d sent", r, b.Sent(name))
	}
}

func TestCancelledAndResumed(t *testing.T) {
	b := newBench(t, 20*chunk)
	ctx, cancel := context.WithCancel(context.Background())
	c := b.client()
	var got atomic.Int64
	_, err := c.Download(ctx, b.meta(c), b.dst, Watch{Bytes: func(n int64) {
		if got.Add(n) > 10*chunk {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	b.mustFetch()
	if sent := b.Sent(name); sent > int64(len(b.content)+4*chunk) {
		t.Errorf("%d sent of %d", sent, len(b.content))
	}
}

func TestChangedBetweenTwoRuns(t *testing.T) {
	b := newBench(t, 10*chunk)
	b.fail(5)
	if _, err := b.fetch(); err == nil {
		t.Fatal("the server failed, the download did not")
	}
	b.Change(func() { b.OnFile = nil })
	b.content = hubtest.Bytes(2, 10*chunk) // of the same size
	b.Put(name, b.content)
	if r := b.mustFetch(); r.Resumed != 0 || !b.said("starting again") {
		t.Errorf("%+v, notes %q", r, b.notes)
	}
}

// TestNewCommitSameFile: a commit that leaves the file alone costs nothing.
func TestNewCommitSameFile(t *testing.T) {
	b := newBench(t, 10*chunk)
	b.fail(5)
	if _, err := b.fetch(); err == nil {
		t.Fatal("the server failed, the download did not")
	}
	b.Change(func() { b.OnFile = nil })
	b.Put("README.md", []byte("new"))
	if r := b.mustFetch(); r.Resumed == 0 {
		t.Errorf("%+v", r)
	}
}

func TestChangedMeanwhile(t *testing.T) {
	for _, direct := range []bool{false, true} {
		for _, size := range []int{10 * chunk, 7 * chunk, 12 * chunk} {
			b := newBench(t, 10*chunk)
			b.Direct = direct
			old, now := b.content, hubtest.Bytes(3, size)
			var answers atomic.Int64
			change := func(http.ResponseWriter, *http.Request) bool {
				if answers.Add(1) == 6 {
					b.Put(name, now)
				}
				return false
			}
			if direct {
				b.OnHub = change
			} else {
				b.OnFile = change
			}
			b.content = now
			r := b.mustFetch()
			if r.Restarts == 0 || !b.said("starting again") || r.Meta.SHA256 == hubtest.SHA256(old) {
				t.Errorf("direct %t, %d bytes: %+v, notes %q", direct, size, r, b.notes)
			}
		}
	}
}

func TestJournalTornOrWrong(t *testing.T) {
	whole := func(b *bench) string {
		text, err := os.ReadFile(b.dst + JournalSuffix)
		if err != nil {
			b.t.Fatal(err)
		}
		return string(text)
	}
	for label, spoil := range map[string]func(text string) string{
		"torn in the last line":  func(text string) string { return text[:len(text)-1] },
		"torn in the header":     func(text string) string { return text[:20] },
		"a number out of bounds": func(text string) string { return text + "99999\n3\n" },
		"no number":              func(text string) string { return text + "x\n" },
		"zeros after a crash":    func(text string) string { return text + "\x00\x00\x00\x00" },
		"not ours":               func(string) string { return "hello\nworld\n" },
		"chunks of no bytes":     func(text string) string { return strings.Replace(text, fmt.Sprint(chunk), "0", 1) },
		"of another version":     func(text string) string { return strings.Replace(text, `"version":1`, `"version":2`, 1) },
		"empty":                  func(string) string { return "" },
	} {
		b := newBench(t, 10*chunk)
		b.fail(5)
		if _, err := b.fetch(); err == nil {
			t.Fatal("the server failed, the download did not")
		}
		b.Change(func() { b.OnFile = nil })
		if err := os.WriteFile(b.dst+JournalSuffix, []byte(spoil(whole(b))), 0o644); err != nil {
			t.Fatal(err)
		}
		b.mustFetch()
		t.Log(label, b.Sent(name)-int64(len(b.content)), "bytes again")
	}
}

func TestPartialFileGone(t *testing.T) {
	b := newBench(t, 10*chunk)
	b.fail(5)
	if _, err := b.fetch(); err == nil {
		t.Fatal("the server failed, the download did not")
	}
	b.Change(func() { b.OnFile = nil })
	if err := os.Remove(b.dst + PartSuffix); err != nil {
		t.Fatal(err)
	}
	b.mustFetch()
	if !b.said("not there any more") {
		t.Errorf("notes %q", b.notes)
	}
}

func TestJournalGone(t *testing.T) {
	b := newBench(t, 3*chunk)
	if err := os.WriteFile(b.dst+PartSuffix, []byte("of another program"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.mustFetch()
	if !b.said("without a journal") {
		t.Errorf("notes %q", b.notes)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	b := newBench(t, 4*chunk)
	m := b.meta(b.client())
	j, _, err := openJournal(b.dst, m, chunk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.fetch(); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	b.mustFetch()
}

func TestParseJournal(t *testing.T) {
	text := `{"version":1,"pin":"x","size":100,"chunk":30}` + "\n0\n3\n2"
	head, done, good := parseJournal([]byte(text))
	if head.Size != 100 || !slices.Equal(done, []bool{true, false, false, true}) || int(good) != len(text)-1 {
		t.Errorf("%+v, %v, %d", head, done, good)
	}
	if from, end := head.bounds(3); from != 90 || end != 100 {
		t.Errorf("the last chunk is %d to %d", from, end)
	}
}

func FuzzParseJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"pin":"x","size":100,"chunk":30}` + "\n0\n3\n2"))
	f.Add([]byte(`{"version":1,"pin":"x","size":9223372036854775807,"chunk":1}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		head, done, good := parseJournal(text)
		if good < 0 || good > int64(len(text)) || head.Version != 0 && head.chunks() != len(done) {
			t.Errorf("%+v, %d chunks, good up to %d of %d", head, len(done), good, len(text))
		}
	})
}
