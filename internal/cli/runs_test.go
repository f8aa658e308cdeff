package cli

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rivo/uniseg"

	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

const longRun = "a-model-of-seven-billions-on-a-year-of-logs-rank-%d-rate-2e-4"

// longRuns is a folder of runs with names that no terminal has room for.
func longRuns(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	for rank := 16; rank < 18; rank++ {
		name := fmt.Sprintf(longRun, rank)
		r, err := runlog.Create(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		eval := 1.5
		for _, err := range []error{
			r.Write(runlog.Metrics{Step: 12000, TotalSteps: 24000, Loss: 1.25, EvalLoss: &eval, TokensPerSecond: 12345}),
			r.WriteSummary(map[string]string{"adapter": "outputs/" + name + "/adapter.gguf"}), r.Close(runlog.Interrupted, nil),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

func TestRunsFitTheTerminal(t *testing.T) {
	root := longRuns(t)
	for width, leftOut := range map[int]string{60: "best eval, tokens/s, adapter", 80: "tokens/s, adapter", 120: ""} {
		for _, list := range []func(*ui.Streams) error{
			func(s *ui.Streams) error { return runRuns(t.Context(), runsOptions{runsDir: root}, s) },
			func(s *ui.Streams) error { return listRuns(logsOptions{runsDir: root}, s) },
		} {
			s, out, _ := ui.Test()
			s.OutTTY, s.Width = true, width
			if err := list(s); err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			for _, line := range lines {
				if uniseg.StringWidth(line) > width {
					t.Errorf("wider than %d: %s", width, line)
				}
			}
			if len(lines) != 3 || lines[1] == lines[2] {
				t.Errorf("two runs cannot be told apart:\n%s", out)
			}
		}
		s, _, errOut := ui.Test()
		s.OutTTY, s.Width = true, width
		if err := runRuns(t.Context(), runsOptions{runsDir: root}, s); err != nil {
			t.Fatal(err)
		}
		if text, _ := strings.CutPrefix(strings.TrimSpace(errOut.String()), "left out for want of room: "); text != leftOut {
			t.Errorf("in %d columns %q is left out, want %q", width, text, leftOut)
		}
	}
}

func TestRunsOffATerminalAreWhole(t *testing.T) {
	s, out, errOut := ui.Test()
	root := longRuns(t)
	if err := runRuns(t.Context(), runsOptions{runsDir: root}, s); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf(longRun, 17)
	if !strings.Contains(out.String(), name+" ") || !strings.Contains(out.String(), "outputs/"+name+"/adapter.gguf") || errOut.Len() > 0 {
		t.Errorf("got\n%s%s", out, errOut)
	}
}
