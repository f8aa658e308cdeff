package scrub

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// shortened shows enough of a value to tell what it is, never the whole.
func shortened(value string) string {
	keep := min(8, len(value)/3)
	return fmt.Sprintf("%q…%d", value[:keep], len(value))
}

// listHits writes a line for each secret of a text: rule, place, and the line
// it is in with the value shortened.
func listHits(w *bufio.Writer, s *Scrubber, name, text string) {
	sc := s.scans.Get().(*scan)
	defer s.scans.Put(sc)
	for _, sp := range s.find(sc, text) {
		if sp.rule.personal() && os.Getenv("SCRUB_PERSONAL") == "" {
			continue
		}
		number := 1 + strings.Count(text[:sp.start], "\n")
		from := max(1+strings.LastIndexByte(text[:sp.start], '\n'), sp.start-100)
		rest, _, _ := strings.Cut(text[sp.end:], "\n")
		fmt.Fprintf(w, "%s\t%s:%d\t%s[%s]%s\n", sp.rule.id, name, number, text[from:sp.start], shortened(text[sp.start:sp.end]), rest[:min(60, len(rest))])
	}
}

// TestCleanCorpus counts what is replaced in folders of clean text, named by
// SCRUB_CORPUS as path:extension+extension separated by commas. It logs counts
// by rule; with SCRUB_HITS=FILE it lists every hit there, values shortened, to
// be told into true and false ones by a person.
func TestCleanCorpus(t *testing.T) {
	list := os.Getenv("SCRUB_CORPUS")
	if list == "" {
		t.Skip("SCRUB_CORPUS names no corpus")
	}
	out, err := os.Create(os.Getenv("SCRUB_HITS"))
	if err != nil {
		out, err = os.Create(os.DevNull)
	}
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(out)
	s := mustNew(t, Options{})
	for item := range strings.SplitSeq(list, ",") {
		root, ext, _ := strings.Cut(item, ":")
		corpus := namedSamples(t, root, 1<<30, strings.Split(ext, "+")...)
		hit, counts := 0, map[string]int{}
		for _, file := range corpus {
			own := map[string]int{}
			s.Clean(file.text, own)
			listHits(w, s, file.name, file.text)
			for id, n := range own {
				counts[id] += n
			}
			if len(own) > personalRules(own) {
				hit++
			}
		}
		t.Logf("%s: %d of %d files with a secret (%.3f %%), %v", root, hit, len(corpus), 100*float64(hit)/float64(len(corpus)), counts)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func personalRules(counts map[string]int) int {
	n := 0
	for _, id := range []string{mailRule.id, homeRule.id} {
		if counts[id] > 0 {
			n++
		}
	}
	return n
}
