package cli

import (
	"context"
	"errors"
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

// TestTalkStatsInterrupted: the output stands by then, and that is said.
func TestTalkStatsInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	if err := os.WriteFile(path, []byte("{\"text\":\"some words\"}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s, _, _ := ui.Test()
	s.ErrTTY = true
	err := talkStats(ctx, s, "", path)
	var coded *ui.CodedError
	if !errors.As(err, &coded) || coded.Code != ui.ExitInterrupted || !strings.Contains(err.Error(), "complete") {
		t.Errorf("interrupted: %v", err)
	}
}

// TestTalkStatsNamesWhatIsLeftOut: a record that training refuses is not passed
// over in silence.
func TestTalkStatsNamesWhatIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	if err := os.WriteFile(path, []byte("{\"x\":1}\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	s, _, errOut := ui.Test()
	s.ErrTTY = true
	if err := talkStats(context.Background(), s, "", path); err != nil || !strings.Contains(errOut.String(), "1  no known kind of record") {
		t.Errorf("%v, standard error %q", err, errOut)
	}
}
