package cli

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

// TestTalkStatsIsForPeople: a terminal gets the figures of a file, anything
// else gets nothing.
func TestTalkStatsIsForPeople(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	if err := os.WriteFile(path, []byte("{\"text\":\"some words\"}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, set := range map[string]func(*ui.Streams){
		"terminal": func(s *ui.Streams) { s.ErrTTY = true },
		"pipe":     func(*ui.Streams) {},
		"quiet":    func(s *ui.Streams) { s.ErrTTY, s.Quiet = true, true },
		"json":     func(s *ui.Streams) { s.ErrTTY, s.JSON = true, true },
	} {
		s, out, errOut := ui.Test()
		set(s)
		if err := talkStats(context.Background(), s, "", path); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Contains(errOut.String(), "samples     1 in 22 B"); got != (name == "terminal") || out.Len() > 0 {
			t.Errorf("%s: standard error %q, standard output %q", name, errOut, out)
		}
	}
}
