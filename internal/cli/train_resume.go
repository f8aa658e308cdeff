package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ui"
)

// outputsDir is where runs go that were given no folder.
const outputsDir = "outputs"

// resumeCommand goes on with the run in f.
func (f runFolders) resumeCommand() string {
	if filepath.Clean(f.output) == defaultOutput(f.name) {
		return "qlora train --resume last --name " + f.name
	}
	return "qlora train --resume last --output " + shellWord(f.output)
}

// shellWord quotes text where a shell would take it apart.
func shellWord(text string) string {
	if !strings.ContainsAny(text, " \t'\"$`\\&;|<>()*?[]#~!") {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// findRun finds the run that --resume means and makes its folder the setting
// output where the other settings do not name it.
func (o *trainOptions) findRun(s *ui.Streams) error {
	switch o.resume {
	case "":
		return nil
	case "last", "best":
		return o.findNamed(s)
	}
	return o.findPath()
}

// findNamed finds the run of --name or --output, or without them the newest.
func (o *trainOptions) findNamed(s *ui.Streams) error {
	r, err := config.ResolveRun(o.config, config.OSEnv, o.settings)
	if err != nil {
		return nil // said again, and reported, when all sources are resolved
	}
	if r.Name == "" && r.Output == "" {
		runs := resumable(outputsDir)
		if len(runs) == 0 {
			return ui.Fail(ui.ExitFailure, fmt.Errorf("nothing to resume: no run in %s has a checkpoint", outputsDir),
				"name the run's folder with --output, or leave --resume out to start a run")
		}
		s.Infof("resuming the newest run, %s\n", runs[0])
		o.setOutput(runs[0])
		return nil
	}
	o.nameRun(&r, time.Time{})
	return checkResumable(r.Output)
}

// findPath tells whether --resume is the folder of a run, whose newest
// checkpoint is meant, or of a checkpoint.
func (o *trainOptions) findPath() error {
	path := filepath.Clean(o.resume)
	if strings.HasPrefix(filepath.Base(path), "checkpoint-") && exists(path) {
		return nil
	}
	if err := checkResumable(path); err != nil {
		return err
	}
	if r, err := config.ResolveRun(o.config, config.OSEnv, o.settings); err == nil && r.Output != "" && filepath.Clean(r.Output) != path {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("--resume %s and output %s are two runs", o.resume, r.Output),
			"leave --output out, or start a new run with --from")
	}
	o.setOutput(path)
	o.resume = "last"
	return nil
}

func (o *trainOptions) setOutput(dir string) {
	o.settings = append(slices.Clone(o.settings), config.Setting{Key: "output", Values: []string{dir}})
}

// checkResumable says why the run in dir cannot be resumed.
func checkResumable(dir string) error {
	if len(checkpointTimes(dir)) > 0 {
		return nil
	}
	hints := []string{"leave --resume out to start a run"}
	if runs := resumable(outputsDir); len(runs) > 0 {
		hints = append(hints, "these can be resumed: "+strings.Join(runs, ", "))
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ui.Fail(ui.ExitFailure, fmt.Errorf("nothing to resume: %s does not exist", dir), hints...)
	case err == nil && !info.IsDir():
		return ui.Fail(ui.ExitUsage, fmt.Errorf("--resume %s: that is a file; name a run's folder or a checkpoint's", dir), hints...)
	}
	return ui.Fail(ui.ExitFailure, fmt.Errorf("nothing to resume: %s: %w", dir, checkpoint.ErrNone), hints...)
}

// resumable lists the runs under root that have a checkpoint, the one saved
// last first.
func resumable(root string) []string {
	newest := map[string]time.Time{}
	for path, saved := range checkpointTimes(filepath.Join(root, "*")) {
		run := filepath.Dir(path)
		if saved.After(newest[run]) {
			newest[run] = saved
		}
	}
	var runs []string
	for run := range newest {
		runs = append(runs, run)
	}
	slices.SortFunc(runs, func(a, b string) int {
		if c := newest[b].Compare(newest[a]); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return runs
}

// checkpointTimes is when each complete checkpoint under the folders that
// match pattern was saved.
func checkpointTimes(pattern string) map[string]time.Time {
	markers, _ := filepath.Glob(filepath.Join(pattern, "checkpoint-*", "DONE")) // a bad pattern matches nothing
	saved := map[string]time.Time{}
	for _, marker := range markers {
		path := filepath.Dir(marker)
		if ext := filepath.Ext(path); ext != "" { // .old, .tmp: put aside or unfinished
			continue
		}
		if info, err := os.Stat(marker); err == nil {
			saved[path] = info.ModTime()
		}
	}
	return saved
}
