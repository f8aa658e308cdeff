package prep_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/qlora/qlora/internal/prep"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", 300<<10) // over the reader's own buffer
	in := "one\r\n\n" + long + "\n" + strings.Repeat("y", 400<<10) + "\nlast"
	lines := prep.NewLines(iotest.HalfReader(strings.NewReader(in)), 350<<10)
	want := []struct {
		data          string
		tooLong, open bool
	}{
		{data: "one"}, {data: ""}, {data: long}, {tooLong: true}, {data: "last", open: true},
	}
	var size int64
	for i, w := range want {
		got, err := lines.Next()
		if err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		size += got.Size
		if string(got.Data) != w.data || got.TooLong != w.tooLong || got.Open != w.open || got.Number != i+1 {
			t.Errorf("line %d: %d bytes, number %d, too long %t, open %t", i+1, len(got.Data), got.Number, got.TooLong, got.Open)
		}
	}
	if _, err := lines.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last line: %v, want io.EOF", err)
	}
	if size != int64(len(in)) {
		t.Errorf("sizes add up to %d, want %d", size, len(in))
	}
}

func TestLinesPassesErrorsOn(t *testing.T) {
	lines := prep.NewLines(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab\ncd\n"))), 0)
	if _, err := lines.Next(); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("error %v, want the reader's", err)
	}
}

func TestFileAppearsOnCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "out.jsonl")
	f, err := prep.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WriteJSON(map[string]string{"text": "<a&b>"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the output is there before Commit: %v", err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v", err)
	}
	got, err := os.ReadFile(path)
	if want := "{\"text\":\"<a&b>\"}\n"; err != nil || string(got) != want {
		t.Errorf("output %q, %v, want %q", got, err, want)
	}
	onlyFile(t, filepath.Dir(path), "out.jsonl")
}

func TestFileAbortKeepsTheOld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := prep.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := f.Abort(); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("output %q, want the old one", got)
	}
	onlyFile(t, dir, "out")
}

func TestFileRefusesWhatIsNoFile(t *testing.T) {
	if _, err := prep.Create(t.TempDir()); err == nil {
		t.Error("a folder was accepted as output")
	}
}

func TestFileKeepsLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "target"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	f, err := prep.Create(link)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(link); err != nil || to != "target" {
		t.Errorf("link leads to %q, %v", to, err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "target")); string(got) != "new" {
		t.Errorf("target holds %q", got)
	}
}

func onlyFile(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("folder holds %v, %v, want %s alone", entries, err, name)
	}
}

func TestTally(t *testing.T) {
	a := prep.Tally{"x": 1}
	a.Merge(prep.Tally{"x": 1, "b": 5, "a": 2})
	a.Add("none", 0)
	if got := strings.Join(a.Reasons(), " "); got != "b a x" || a.Total() != 9 {
		t.Errorf("reasons %q, total %d", got, a.Total())
	}
}
