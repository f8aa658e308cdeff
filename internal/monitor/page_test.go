package monitor

import (
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestPageNeedsNothingFromElsewhere finds references to other servers, and to
// files that are not in the binary.
func TestPageNeedsNothingFromElsewhere(t *testing.T) {
	_, served := started(t, Options{Root: t.TempDir()})
	reference := regexp.MustCompile(`(?:src=|href=|from |import )"([^"#]+)"`)
	elsewhere := regexp.MustCompile(`(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	found := 0
	err := fs.WalkDir(web, "web", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(web, path)
		check(t, err)
		for _, address := range elsewhere.FindAllString(string(text), -1) {
			if address != "http://www.w3.org" { // the name of SVG, not an address
				t.Errorf("%s speaks of %s", path, address)
			}
		}
		for _, match := range reference.FindAllStringSubmatch(string(text), -1) {
			found++
			name := "/" + strings.TrimPrefix(match[1], "./")
			if status, _ := get(t, served, name); status != http.StatusOK {
				t.Errorf("%s refers to %s: status %d", path, match[1], status)
			}
		}
		return nil
	})
	check(t, err)
	if found < 15 {
		t.Errorf("only %d references; the search is looking for the wrong thing", found)
	}
}

// TestPageHasAllMetrics compares the names that the page asks for with ours.
func TestPageHasAllMetrics(t *testing.T) {
	text, err := fs.ReadFile(web, "web/store.js")
	check(t, err)
	for _, name := range metricNames {
		if !strings.Contains(string(text), `{ name: "`+name+`"`) {
			t.Errorf("the page has no chart of %s", name)
		}
	}
	if got := strings.Count(string(text), `{ name: "`); got != int(metricCount) {
		t.Errorf("%d charts, %d metrics", got, metricCount)
	}
}
