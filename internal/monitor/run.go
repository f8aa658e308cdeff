package monitor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/qlora/qlora/internal/runlog"
)

// run is a run's folder as far as it was read. The watcher writes, requests
// read.
type run struct {
	name, dir string

	mu      sync.RWMutex
	table   *table
	preview *table // of some lines, until all are read
	status  runlog.Status
	result  result
	samples int64             // bytes of samples.jsonl
	config  int64             // version of config.yaml
	bad     int               // lines that are no reports
	badText string            // the first of them, and why
	lines   int               // of the file, good and bad
	open    bool              // the file ends within a line
	loaded  bool              // up to the end at least once
	failed  map[string]string // what is wrong with a file, by its name

	// Of the watcher alone.
	tail    tail
	stamps  map[string]stamp
	reading bool
}

// result is what summary.json says of a run that came to its end.
type result struct {
	Adapter     string `json:"adapter"`
	BestAdapter string `json:"best_adapter"`
	Reason      string `json:"reason"`
}

// stamp tells whether a small file has changed.
type stamp struct {
	size int64
	time time.Time
}

// version differs between contents of a file; it is 0 where there is none.
func (s stamp) version() int64 {
	if s.time.IsZero() {
		return 0
	}
	return s.time.UnixMilli()
}

func newRun(dir string) *run {
	return &run{name: filepath.Base(dir), dir: dir, table: newTable(), stamps: map[string]stamp{}, failed: map[string]string{},
		tail: tail{path: filepath.Join(dir, runlog.MetricsFile)}}
}

// refreshMetrics reads what is new in metrics.jsonl.
func (r *run) refreshMetrics() error {
	err := r.tail.read(r.reset, r.addLines)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded, r.preview = true, nil
	r.open = len(bytes.TrimSpace(r.tail.part)) > 0
	return err
}

// badLines are the lines that are no reports and the first of them, the caller
// holding mu. The end of a run that has ended makes one of a line without an end.
func (r *run) badLines() (n int, first string) {
	n, first = r.bad, r.badText
	if r.open && r.status.State.Ended() {
		n++
		first = cmp.Or(first, badLine(r.lines+1, runlog.ErrTorn))
	}
	return n, first
}

func badLine(n int, err error) string { return fmt.Sprintf("%s:%d: %v", runlog.MetricsFile, n, err) }

// reset forgets the rows: the file was replaced or cut off, as a resume does.
func (r *run) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table, r.bad, r.badText, r.lines = newTable(), 0, "", 0
}

// addLines takes over whole lines. One that is no report is counted and passed
// over, so that the rest of the run still shows.
func (r *run) addLines(text string, tooLong int) error {
	rows := make([]row, 0, strings.Count(text, "\n"))
	var bad []string
	lines := 0
	for line := range strings.Lines(text) {
		lines++
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		parsed, err := parseRow(line)
		if err != nil {
			bad = append(bad, badLine(r.lines+lines, err))
			continue
		}
		rows = append(rows, parsed)
	}
	if tooLong > 0 {
		lines++
		bad = append(bad, badLine(r.lines+lines, errTooLong))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, parsed := range rows {
		r.table.add(parsed)
	}
	if len(bad) > 0 && r.bad == 0 {
		r.badText = bad[0]
	}
	r.bad += len(bad)
	r.lines += lines
	return nil
}

// refreshState reads the small files again that have changed, and reports
// whether any of what they say did. A run that says it is running is asked each
// time: its process may be gone.
func (r *run) refreshState() (news bool) {
	if r.changed(runlog.StatusFile) || r.status.State == runlog.Running {
		status, err := runlog.ReadStatus(r.dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		news = r.fail(runlog.StatusFile, err)
		if err == nil && status != r.status {
			r.mu.Lock()
			r.status, news = status, true
			r.mu.Unlock()
		}
	}
	if r.changed(runlog.SummaryFile) {
		found, err := readResult(r.dir)
		r.fail(runlog.SummaryFile, err)
		r.mu.Lock()
		r.result, news = found, true
		r.mu.Unlock()
	}
	if r.changed(runlog.SamplesFile) {
		r.mu.Lock()
		r.samples, news = r.stamps[runlog.SamplesFile].size, true
		r.mu.Unlock()
	}
	if r.changed(runlog.ConfigFile) {
		r.mu.Lock()
		r.config, news = r.stamps[runlog.ConfigFile].version(), true
		r.mu.Unlock()
	}
	return news
}

// fail keeps what is wrong with a file for the page, and forgets it when err is
// nil; it reports whether that is news.
func (r *run) fail(file string, err error) (news bool) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	news = r.failed[file] != text
	r.failed[file] = text
	return news
}

// problem is everything that is wrong with the run's files, the caller holding
// mu.
func (r *run) problem() string {
	var all []string
	_, line := r.badLines()
	for _, text := range []string{r.failed[runlog.StatusFile], r.failed[runlog.SummaryFile], r.failed[runlog.MetricsFile], line} {
		if text != "" {
			all = append(all, text)
		}
	}
	return strings.Join(all, "; ")
}

func (r *run) changed(name string) bool {
	var now stamp
	if info, err := os.Stat(filepath.Join(r.dir, name)); err == nil {
		now = stamp{info.Size(), info.ModTime()}
	}
	if r.stamps[name] == now {
		return false
	}
	r.stamps[name] = now
	return true
}

// readResult is empty for a run without a summary.
func readResult(dir string) (result, error) {
	var found result
	path := filepath.Join(dir, runlog.SummaryFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return found, fmt.Errorf("read summary: %w", err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return found, fmt.Errorf("read summary from %s: %w", path, err)
	}
	return found, nil
}
