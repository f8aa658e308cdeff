package scrub

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCleanCorpusStays: text that holds no secret is returned as it is. The
// files were written for this test, from what clean code and talk about keys
// looks like.
func TestCleanCorpusStays(t *testing.T) {
	s := mustNew(t, Options{})
	paths, err := filepath.Glob("testdata/clean/*")
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d files of clean text: %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		if s.Clean(string(text), counts) != string(text) {
			sc := s.scans.Get().(*scan)
			for _, sp := range s.find(sc, string(text)) {
				t.Errorf("%s: %s takes %q", path, sp.rule.id, string(text)[sp.start:sp.end])
			}
		}
	}
}
