package cli

import (
	"fmt"
	"path/filepath"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// skippedLines tells of each line of a run's metrics that is no report, once.
type skippedLines struct {
	s    *ui.Streams
	told map[string]bool
}

func newSkippedLines(s *ui.Streams) *skippedLines {
	return &skippedLines{s: s, told: map[string]bool{}}
}

func (l *skippedLines) tell(bad runlog.BadLine) {
	text := bad.Error()
	if l.told[text] {
		return
	}
	l.told[text] = true
	l.s.Warnf("%s; left out", text)
}

// err is nil when there was none.
func (l *skippedLines) err(dir string) error {
	n := len(l.told)
	if n == 0 {
		return nil
	}
	return ui.Fail(ui.ExitSkipped, fmt.Errorf("%s left out of %s",
		english.Plural(n, "unreadable line", ""), filepath.Join(dir, runlog.MetricsFile)))
}

// notWhole is nil when all runs of a list could be read.
func notWhole(n int) error {
	if n == 0 {
		return nil
	}
	return ui.Fail(ui.ExitSkipped, fmt.Errorf("%s could not be read whole", english.Plural(n, "run", "")))
}
