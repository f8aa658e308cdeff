package runlog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// ErrNoRuns says that a folder holds no run.
var ErrNoRuns = errors.New("no runs yet")

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
		return "", fmt.Errorf("%s: %w", root, ErrNoRuns)
	}
	return dirs[0], nil
}

// ReadMetrics reads all reports of the run in dir. A last line without its end,
// as a killed run leaves it, is not a report.
func ReadMetrics(dir string) ([]Metrics, error) {
	f, err := os.Open(filepath.Join(dir, MetricsFile))
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer f.Close()
	var all []Metrics
	tail := &tail{path: f.Name(), r: bufio.NewReader(f)}
	err = tail.drain(func(m Metrics) error {
		all = append(all, m)
		return nil
	})
	return all, err
}

// tail reads the lines of a growing file.
type tail struct {
	path string
	r    *bufio.Reader
	part []byte // the beginning of a line whose end is not yet there
	line int
}

// drain hands every complete line to each.
func (t *tail) drain(each func(Metrics) error) error {
	for {
		text, err := t.r.ReadBytes('\n')
		t.part = append(t.part, text...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", t.path, err)
		}
		t.line++
		line := bytes.TrimSpace(t.part)
		t.part = nil
		if len(line) == 0 {
			continue
		}
		var m Metrics
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("%s:%d: %w", t.path, t.line, err)
		}
		if err := each(m); err != nil {
			return err
		}
	}
}
