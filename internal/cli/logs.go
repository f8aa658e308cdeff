package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/monitor"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

type logsOptions struct {
	follow  bool
	list    bool
	lines   int // newest reports to print, below 0 all
	runsDir string
	run     string // name or folder; empty is the newest
}

func (o *logsOptions) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "wait for more until the run ends")
	cmd.Flags().IntVarP(&o.lines, "lines", "n", -1, "print the newest `N` reports only (-1: all)")
	cmd.Flags().BoolVar(&o.list, "list", false, "list the runs instead, in short; see also 'qlora runs'")
	cmd.Flags().StringVar(&o.runsDir, "runs-dir", "runs", "folder that holds the runs")
}

func newLogsCmd(s *ui.Streams) *cobra.Command {
	var o logsOptions
	cmd := &cobra.Command{
		Use:   "logs [run]",
		Short: "print the progress of a run, the newest by default",
		Long: `Logs prints what a run has reported: one line per report with step, loss,
gradient norm, learning rate, tokens per second, time left and memory. With
--follow it goes on until the run ends, also when the run is resumed meanwhile;
a line that is still being written is printed when it is whole. Ctrl-C ends the
following with exit status 0 and leaves the run alone.

A line that is no report, or that a crash has cut off, is named in a warning and
left out; logs then ends with exit status 3.` + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora logs
  qlora logs --follow
  qlora logs -f -n 20 mine
  qlora logs --list
  qlora logs mine --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.run = args[0]
			}
			return runLogs(cmd.Context(), o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func runLogs(ctx context.Context, o logsOptions, s *ui.Streams) error {
	if err := checkRunsDir(o.runsDir); err != nil {
		return err
	}
	if o.list {
		return listRuns(o, s)
	}
	dir, err := findRun(o)
	if err != nil {
		return err
	}
	s.Infof("%s\n", dir)
	each := func(m runlog.Metrics) error {
		s.Printf("%s\n", m)
		return s.Event("metrics", m)
	}
	skipped := newSkippedLines(s)
	all, err := runlog.Salvage(dir, skipped.tell)
	if err != nil {
		return err
	}
	skip := 0
	if o.lines >= 0 {
		skip = max(0, len(all)-o.lines)
	}
	if o.follow {
		err = runlog.Follow(ctx, dir, skipping(skip, each), skipped.tell)
	} else {
		err = printAll(all[skip:], each)
	}
	if err != nil {
		return err
	}
	return endOfRun(dir, skipped, s)
}

// skipping leaves out the first n reports.
func skipping(n int, each func(runlog.Metrics) error) func(runlog.Metrics) error {
	return func(m runlog.Metrics) error {
		if n > 0 {
			n--
			return nil
		}
		return each(m)
	}
}

func printAll(all []runlog.Metrics, each func(runlog.Metrics) error) error {
	for _, m := range all {
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

// findRun accepts a run's name, its folder, or nothing for the newest.
func findRun(o logsOptions) (string, error) {
	newest, err := runlog.Newest(o.runsDir)
	if o.run == "" {
		return newest, runsError(err)
	}
	for _, dir := range []string{filepath.Join(o.runsDir, o.run), o.run} {
		_, err := os.Stat(filepath.Join(dir, runlog.MetricsFile))
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("find run %s: %w", o.run, err)
		}
	}
	if err != nil {
		return "", runsError(err)
	}
	return "", ui.Fail(ui.ExitFailure, fmt.Errorf("no run %q in %s", o.run, o.runsDir),
		"see which runs there are with: qlora logs --list --runs-dir "+shellWord(o.runsDir))
}

// logsSummary ends the JSON form.
type logsSummary struct {
	Run string `json:"run"`
	runlog.Status
	BadLines int `json:"bad_lines,omitempty"` // of metrics.jsonl, left out
}

// storedStatus is unknown for a run that has stored none, which is no error, and for
// one whose status cannot be read.
func storedStatus(dir string) (runlog.Status, error) {
	status, err := runlog.ReadStatus(dir)
	if err == nil {
		return status, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return runlog.Status{State: monitor.Unknown}, err
}

func endOfRun(dir string, skipped *skippedLines, s *ui.Streams) error {
	status, err := storedStatus(dir)
	if err != nil {
		return err
	}
	text := string(status.State)
	if status.Error != "" {
		text += ": " + strings.TrimSpace(status.Error)
	}
	s.Infof("%s\n", text)
	summary := logsSummary{Run: filepath.Base(dir), Status: status, BadLines: len(skipped.told)}
	if err := s.Event("summary", summary); err != nil {
		return err
	}
	return skipped.err(dir)
}

// startOf is "-" for a run that has not stored it.
func startOf(status runlog.Status) string {
	if status.Started.IsZero() {
		return "-"
	}
	return status.Started.Format("2006-01-02 15:04:05")
}

func listRuns(o logsOptions, s *ui.Streams) error {
	dirs, err := runlog.List(o.runsDir)
	if err != nil {
		return runsError(err)
	}
	rows := make([][]string, 0, len(dirs))
	runs := make([]logsSummary, 0, len(dirs))
	broken := 0
	for _, dir := range dirs {
		status, err := storedStatus(dir)
		if err != nil {
			s.Warnf("%v", err)
			broken++
		}
		runs = append(runs, logsSummary{Run: filepath.Base(dir), Status: status})
		rows = append(rows, []string{filepath.Base(dir), string(status.State), startOf(status)})
	}
	if !s.JSON && len(rows) > 0 {
		tellLeftOut(s, new(ui.Columns).Fit(s.Out, []string{"run", "state", "started"}, rows, s.FitOut(shortRun)))
	}
	if len(rows) == 0 {
		s.Infof("%s", noRunsText(o.runsDir))
	}
	if err := s.Event("summary", map[string]any{"runs": runs}); err != nil {
		return err
	}
	return notWhole(broken)
}
