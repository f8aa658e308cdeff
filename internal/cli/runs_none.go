package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// noRunsHints are what to do where a folder holds no run.
var noRunsHints = []string{"start one with 'qlora train' or 'qlora demo'", "or name the folder that holds them with --runs-dir"}

// checkRunsDir refuses a file. A folder that is not there yet holds no run.
func checkRunsDir(root string) error {
	if info, err := os.Stat(root); err != nil || info.IsDir() {
		return nil
	}
	return ui.Fail(ui.ExitInvalid, fmt.Errorf("%s is a file, not a folder of runs", root), runsDirHint)
}

const runsDirHint = "name the folder that holds the runs with --runs-dir"

// runsError gives an error of looking for runs its hints.
func runsError(err error) error {
	switch {
	case errors.Is(err, runlog.ErrNoRuns):
		return ui.Fail(ui.ExitFailure, err, noRunsHints...)
	case errors.Is(err, context.Canceled):
		return err
	}
	return ui.Fail(ui.ExitFailure, err, runsDirHint)
}

// noRunsText is what a list of none says: the words of the error where a run is
// needed.
func noRunsText(root string) string {
	return fmt.Sprintf("%v in %s\nhint: %s\n", runlog.ErrNoRuns, root, strings.Join(noRunsHints, "\nhint: "))
}
