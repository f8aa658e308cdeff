// Package runlog is a run's folder, runs/NAME, and the only contract between a
// run and those who watch it:
//
//	config.yaml    the resolved settings
//	metrics.jsonl  one Metrics per report, appended
//	samples.jsonl  answers to the prompts of a run, one Sample each, appended
//	status.json    whether it runs, and as which process
//	summary.json   the result, once there is one
package runlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Names of the files in a run's folder.
const (
	ConfigFile  = "config.yaml"
	MetricsFile = "metrics.jsonl"
	StatusFile  = "status.json"
	SummaryFile = "summary.json"
)

// Run is the writing side of a run's folder. One goroutine uses it.
type Run struct {
	dir     string
	metrics *os.File
	status  Status
}

// Create starts a new run in dir. An earlier run of that name is kept: its
// folder is renamed to dir.1, or the next free number.
func Create(dir string) (*Run, error) {
	if _, err := os.Stat(filepath.Join(dir, MetricsFile)); err == nil {
		if err := setAside(dir); err != nil {
			return nil, err
		}
	}
	return start(dir, 0)
}

// Continue goes on with the run in dir after step, for a resumed training.
// Reports of later steps are dropped, since those steps will be run again.
func Continue(dir string, step int) (*Run, error) {
	all, err := ReadMetrics(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var kept bytes.Buffer
	for _, m := range all {
		if m.Step > step {
			continue
		}
		line, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encode metrics of step %d: %w", m.Step, err)
		}
		kept.Write(append(line, '\n'))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make run folder: %w", err)
	}
	if err := writeFile(filepath.Join(dir, MetricsFile), kept.Bytes()); err != nil {
		return nil, err
	}
	if err := cutSamples(dir, step); err != nil {
		return nil, err
	}
	return start(dir, step)
}

func start(dir string, step int) (*Run, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make run folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, MetricsFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open metrics: %w", err)
	}
	r := &Run{dir: dir, metrics: f, status: newStatus()}
	r.status.Step = step
	if err := r.writeStatus(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func setAside(dir string) error {
	for i := 1; ; i++ {
		old := fmt.Sprintf("%s.%d", filepath.Clean(dir), i)
		if _, err := os.Lstat(old); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return fmt.Errorf("keep the earlier run: %w", err)
			}
			continue
		}
		if err := os.Rename(dir, old); err != nil {
			return fmt.Errorf("keep the earlier run: %w", err)
		}
		return nil
	}
}

// Dir is the run's folder.
func (r *Run) Dir() string { return r.dir }

// Write appends m as one line; Time is set when it is zero. A reader sees the
// line whole or not at all, except at the end of a file still being written.
func (r *Run) Write(m Metrics) error {
	if m.Time.IsZero() {
		m.Time = time.Now()
	}
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode metrics of step %d: %w", m.Step, err)
	}
	if _, err := r.metrics.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write metrics of step %d: %w", m.Step, err)
	}
	r.Reach(m.Step)
	return nil
}

// Reach notes a step as done. One that is not reported yet is in no line of
// metrics.jsonl, only in the status when the run ends.
func (r *Run) Reach(step int) { r.status.Step = max(r.status.Step, step) }

// WriteConfig stores the resolved settings, as YAML.
func (r *Run) WriteConfig(yaml []byte) error {
	return writeFile(filepath.Join(r.dir, ConfigFile), yaml)
}

// WriteSummary stores the result of the run, any value that encodes as JSON.
func (r *Run) WriteSummary(summary any) error {
	text, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return fmt.Errorf("encode summary: %w", err)
	}
	return writeFile(filepath.Join(r.dir, SummaryFile), append(text, '\n'))
}

// Close records how the run ended and closes its files. cause is the error
// that ended it, or nil. A second call does nothing.
func (r *Run) Close(state State, cause error) error {
	if r.metrics == nil {
		return nil
	}
	r.status.State = state
	if cause != nil {
		r.status.Error = cause.Error()
	}
	err := errors.Join(r.metrics.Close(), r.writeStatus())
	r.metrics = nil
	return err
}

// writeFile replaces path in one step: a reader sees the old text or the new.
func writeFile(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(tmp.Name())))
		}
	}()
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
