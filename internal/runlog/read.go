package runlog

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// ErrNoRuns says that a folder holds no run.
var ErrNoRuns = errors.New("no runs")

// List returns the folders of the runs under root, newest first by the time of
// their last report. A root that is not there holds none; one that cannot be
// read is an error.
func List(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	changed := map[string]time.Time{}
	var dirs []string
	for _, entry := range entries {
		dir := filepath.Join(root, entry.Name())
		info, err := os.Stat(filepath.Join(dir, MetricsFile))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrPermission) {
			continue // a file, the folder of something else or of somebody else, or removed since the listing
		}
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		changed[dir] = info.ModTime()
		dirs = append(dirs, dir)
	}
	sort.SliceStable(dirs, func(i, j int) bool { return changed[dirs[i]].After(changed[dirs[j]]) })
	return dirs, nil
}

// Newest returns the folder of the run under root that reported last, or
// ErrNoRuns.
func Newest(root string) (string, error) {
	dirs, err := List(root)
	if err != nil {
		return "", err
	}
	if len(dirs) == 0 {
		return "", fmt.Errorf("%w in %s", ErrNoRuns, root)
	}
	return dirs[0], nil
}

// ReadMetrics reads all reports of the run in dir. A line that is no report is an
// error, but for a last one without its end, as a killed run leaves it.
func ReadMetrics(dir string) ([]Metrics, error) {
	var broken error
	all, err := Salvage(dir, func(bad BadLine) {
		if broken == nil && !errors.Is(bad, ErrTorn) {
			broken = bad
		}
	})
	if err == nil && broken != nil {
		return nil, broken
	}
	return all, err
}

// Salvage reads all reports of the run in dir and hands every line that is none
// to bad.
func Salvage(dir string, bad func(BadLine)) ([]Metrics, error) {
	// Before the lines: a run that has ended by now writes no more. One whose
	// status cannot be read is not known to have, and its reports can be.
	status, _ := ReadStatus(dir)
	f, err := os.Open(filepath.Join(dir, MetricsFile))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer f.Close()
	var all []Metrics
	tail := &tail{path: f.Name(), r: bufio.NewReader(f), bad: bad}
	err = tail.drain(func(m Metrics) error {
		all = append(all, m)
		return nil
	})
	if status.State.Ended() {
		tail.end()
	}
	return all, err
}
