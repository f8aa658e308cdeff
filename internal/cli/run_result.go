package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/qlora/qlora/internal/ui"
)

// runResult is the file that a run's folder stands for.
type runResult struct {
	asked string // the file or folder that was named
	path  string
	why   string // this one of the folder's files; "" where a file was named
}

// resultIn finds the result in a run's folder: that of the best evaluation where
// there is one, as 'qlora runs' shows it, else the last. Another path is itself.
func resultIn(path string) (runResult, error) {
	if !isFolder(path) {
		return runResult{asked: path, path: path}, nil
	}
	last, found := lastResult(path)
	m, err := readSummary(path)
	if err != nil {
		return runResult{}, ui.Fail(ui.ExitInvalid, err, "name one of the GGUF files in "+path)
	}
	if m != nil && m.BestAdapter != "" && m.BestEvalLoss != nil {
		best := filepath.Join(path, filepath.Base(m.BestAdapter)) // the folder may have moved
		if exists(best) {
			return runResult{path, best, fmt.Sprintf("%s, the best evaluation (loss %.4f at step %d); the last is %s", best, *m.BestEvalLoss, m.BestStep, filepath.Base(last))}, nil
		}
	}
	if !found {
		return runResult{}, ui.Fail(ui.ExitInvalid, fmt.Errorf("the folder %s holds no result of a run: no adapter.gguf and no model.gguf", path),
			"see with 'qlora runs' whether the run has ended, and resume it with 'qlora train --resume last'", "or name a GGUF file")
	}
	if m == nil { // a checkpoint, or a run that is under way
		return runResult{path, last, last + ", which is what the folder holds; no finished run says more about it"}, nil
	}
	return runResult{path, last, last + ", the weights of the run's end"}, nil
}

func lastResult(dir string) (path string, found bool) {
	for _, name := range []string{"adapter.gguf", "model.gguf"} {
		if path = filepath.Join(dir, name); exists(path) {
			return path, true
		}
	}
	return path, false
}

// tell says which file of a folder was taken.
func (r runResult) tell(s *ui.Streams) {
	if r.why != "" {
		s.Infof("qlora: taking %s\n", r.why)
	}
}

// readSummary reads the summary that training left in dir; nil without one.
func readSummary(dir string) (*trainSummary, error) {
	text, err := os.ReadFile(filepath.Join(dir, summaryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the run's summary: %w", err)
	}
	m := &trainSummary{}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("read the run's summary %s: %w", filepath.Join(dir, summaryFile), err)
	}
	return m, nil
}
