package scrub

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// samples reads files of a folder as a corpus of up to limit bytes.
func samples(tb testing.TB, root string, limit int, exts ...string) []string {
	tb.Helper()
	var out []string
	size := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || size > limit {
			return nil
		}
		for _, ext := range exts {
			if strings.HasSuffix(path, ext) {
				if text, err := os.ReadFile(path); err == nil && len(text) < 1<<20 {
					out = append(out, string(text))
					size += len(text)
				}
			}
		}
		return nil
	})
	if err != nil || size == 0 {
		tb.Skipf("no corpus at %s: %v", root, err)
	}
	return out
}

// goSource is the folder of Go's standard library.
func goSource(tb testing.TB) string {
	tb.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		tb.Skipf("no go command to ask for its sources: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "src")
}

// BenchmarkClean cleans Go's standard library, file by file.
func BenchmarkClean(b *testing.B) {
	s := mustNew(b, Options{})
	corpus := samples(b, goSource(b), 16<<20, ".go")
	total := 0
	for _, text := range corpus {
		total += len(text)
	}
	b.SetBytes(int64(total))
	for b.Loop() {
		for _, text := range corpus {
			s.Clean(text, nil)
		}
	}
}

// TestCleanCorpus counts what is replaced in folders of clean text, named by
// SCRUB_CORPUS as path:extension pairs separated by commas. It prints counts by
// rule, never values.
func TestCleanCorpus(t *testing.T) {
	list := os.Getenv("SCRUB_CORPUS")
	if list == "" {
		t.Skip("SCRUB_CORPUS names no corpus")
	}
	s := mustNew(t, Options{})
	for _, item := range strings.Split(list, ",") {
		root, ext, _ := strings.Cut(item, ":")
		corpus := samples(t, root, 1<<30, ext)
		hit, counts := 0, map[string]int{}
		for _, text := range corpus {
			own := map[string]int{}
			s.Clean(text, own)
			secret := false
			for id, n := range own {
				counts[id] += n
				secret = secret || id != mailRule.id && id != homeRule.id
			}
			if secret {
				hit++
			}
		}
		t.Logf("%s: %d of %d files with a secret (%.3f %%), %v", root, hit, len(corpus), 100*float64(hit)/float64(len(corpus)), counts)
	}
}
