package scrub

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sample is one file of a corpus.
type sample struct{ name, text string }

// samples reads files of a folder as a corpus of up to limit bytes.
func samples(tb testing.TB, root string, limit int, exts ...string) []string {
	tb.Helper()
	var out []string
	for _, file := range namedSamples(tb, root, limit, exts...) {
		out = append(out, file.text)
	}
	return out
}

func namedSamples(tb testing.TB, root string, limit int, exts ...string) []sample {
	tb.Helper()
	var out []sample
	size := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || size > limit {
			return nil
		}
		for _, ext := range exts {
			if strings.HasSuffix(path, ext) {
				if text, err := os.ReadFile(path); err == nil && len(text) < 1<<20 {
					out = append(out, sample{path, string(text)})
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
