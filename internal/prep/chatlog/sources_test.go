package chatlog

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What may not be read is named and passed over, unless it was asked for.
func TestLocked(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	text := userLine("u1", "", "hi") + "\n" + replyLine("a1", "u1", "m1", "hello")
	for name, mode := range map[string]os.FileMode{"a.jsonl": 0o600, "b.jsonl": 0} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "c"), 0); err != nil {
		t.Fatal(err)
	}
	o := Options{Sources: []string{dir}, Out: filepath.Join(t.TempDir(), "o.jsonl")}
	report, err := Convert(context.Background(), o)
	if err != nil || report.Conversations != 1 || report.Skipped != 2 || report.Dropped[reasonLocked] != 2 {
		t.Errorf("%v, %+v", err, report)
	}
	o.Strict = true
	if _, err := Convert(context.Background(), o); !errors.Is(err, ErrStrict) {
		t.Errorf("strict: %v", err)
	}
	o.Sources = []string{filepath.Join(dir, "b.jsonl")}
	if _, err := Convert(context.Background(), o); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a file that was named: %v", err)
	}
}

// A folder may be named by a link. Links inside it are followed to files, not
// to folders, and one that leads in a circle is no reason to stop.
func TestLinks(t *testing.T) {
	logs, links := filepath.Join(t.TempDir(), "logs"), t.TempDir()
	if err := os.MkdirAll(filepath.Join(logs, "p"), 0o777); err != nil {
		t.Fatal(err)
	}
	text := userLine("u1", "", "hi") + "\n" + replyLine("a1", "u1", "m1", "hello")
	if err := os.WriteFile(filepath.Join(logs, "p", "s.jsonl"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{
		filepath.Join(links, "root"): logs, filepath.Join(logs, "folder"): "p", filepath.Join(logs, "circle"): "circle",
		filepath.Join(logs, "nowhere"): "gone", filepath.Join(logs, "file.jsonl"): filepath.Join("p", "s.jsonl"),
	} {
		if err := os.Symlink(to, name); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Convert(context.Background(), Options{Sources: []string{filepath.Join(links, "root")}, Out: filepath.Join(links, "o.jsonl")})
	if err != nil || report.Files != 2 || report.Others != 2 || report.Conversations != 1 || report.Dropped[reasonLink] != 1 {
		t.Errorf("%v, %+v", err, report)
	}
}

// Archives whose content is damaged are named and passed over; the names of
// files in an archive need not be paths.
func TestArchives(t *testing.T) {
	dir := t.TempDir()
	text := userLine("u1", "", "hi") + "\n" + replyLine("a1", "u1", "m1", "hello") + "\n"
	var archive, packed bytes.Buffer
	z := zip.NewWriter(&archive)
	g := gzip.NewWriter(&packed)
	w, err := z.Create("../odd.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.Writer{w, g} {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	spoilt := func(data []byte, at int) []byte { // a block of a kind that there is none of
		data = bytes.Clone(data)
		data[at] |= 6
		return data
	}
	for name, data := range map[string][]byte{
		"a.zip": archive.Bytes(), "b.zip": spoilt(archive.Bytes(), 30+len("../odd.jsonl")), "c.gz": spoilt(packed.Bytes(), 10),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report, err := Convert(context.Background(), Options{Sources: []string{dir}, Out: filepath.Join(t.TempDir(), "o.jsonl")})
	if err != nil || report.Conversations != 1 || report.Dropped[reasonDamaged] != 2 {
		t.Errorf("%v, %+v", err, report)
	}
}
