package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/monitor"
	"github.com/qlora/qlora/internal/ui"
)

type runsOptions struct {
	runsDir  string
	watch    bool
	interval float64 // seconds between two tables of --watch
	count    int     // tables of --watch, 0 without end
}

func (o *runsOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.runsDir, "runs-dir", "runs", "`folder` that holds the runs")
	flags.BoolVarP(&o.watch, "watch", "w", false, "go on until Ctrl-C, on a terminal in place")
	flags.Float64Var(&o.interval, "interval", watchInterval, "seconds between two tables of --watch")
	flags.IntVar(&o.count, "count", 0, "tables of --watch after which to end (0: none)")
}

func newRunsCmd(s *ui.Streams) *cobra.Command {
	var o runsOptions
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "list runs with their state, step, loss and adapter",
		Long: `Runs prints a table of all runs, the last started first: state, step, newest
loss, best evaluation and the step it came at, speed and adapter, that of the
best evaluation where there is one. States are running, finished, interrupted,
diverged, failed, killed (its process is gone) and unknown (it has stored none).

On a terminal the table is as wide as that at the most: names are shortened, then
columns left out from the right. Elsewhere, and with --json, all is printed.

Lines of metrics.jsonl that cannot be read are left out and counted in a
warning, and the exit status is 3.` + exitStatus(ui.ExitSkipped, ui.ExitInvalid),
		Example: `  qlora runs
  qlora runs --watch
  qlora runs --json | jq -r '.runs[] | select(.state == "running") | .run'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return asUsage(cmd, err)
			}
			return runRuns(cmd.Context(), o, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

// check holds the flags of watching to the same rules as those of gpu.
func (o *runsOptions) check() error {
	return gpuOptions{watch: o.watch, interval: o.interval, count: o.count}.check()
}

// runsSummary is the JSON form of the table.
type runsSummary struct {
	Runs []monitor.Summary `json:"runs"`
}

func runRuns(ctx context.Context, o runsOptions, s *ui.Streams) error {
	if err := checkRunsDir(o.runsDir); err != nil {
		return err
	}
	reader := monitor.NewReader(o.runsDir)
	if o.watch {
		return watchRuns(ctx, o, reader, s)
	}
	runs, err := reader.Read(ctx)
	if err != nil {
		return runsError(err)
	}
	if len(runs) == 0 {
		s.Infof("%s", noRunsText(o.runsDir))
	} else if !s.JSON {
		tellLeftOut(s, writeRuns(s.Out, &ui.Columns{}, runs, runsFit(s)))
	}
	return endRuns(s, runs)
}

// endRuns tells what could not be read, and ends the output.
func endRuns(s *ui.Streams, runs []monitor.Summary) error {
	broken := warnRuns(s, runs)
	if err := s.Event("summary", newRunsSummary(runs)); err != nil {
		return err
	}
	return notWhole(broken)
}

func newRunsSummary(runs []monitor.Summary) runsSummary {
	return runsSummary{Runs: append([]monitor.Summary{}, runs...)} // an array also when empty
}

// watchRuns shows the table again and again, until ctx is done or there were
// enough; both are no error.
func watchRuns(ctx context.Context, o runsOptions, reader *monitor.Reader, s *ui.Streams) error {
	screen, columns := ui.NewScreen(s), &ui.Columns{}
	tick := time.NewTicker(time.Duration(o.interval * float64(time.Second)))
	defer tick.Stop()
	for shown := 1; ; shown++ {
		runs, err := reader.Read(ctx)
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return runsError(err)
		}
		var table strings.Builder
		if len(runs) == 0 {
			table.WriteString(noRunsText(o.runsDir))
		} else {
			writeRuns(&table, columns, runs, runsFit(s))
		}
		screen.Show(fmt.Sprintf("%s  %s  every %g s", time.Now().Format(time.DateTime), o.runsDir, o.interval), table.String())
		last := shown == o.count
		if !last {
			if err := s.Event("runs", newRunsSummary(runs)); err != nil {
				return err
			}
			last = !waitTick(ctx, tick)
		}
		if last {
			return endRuns(s, runs)
		}
	}
}

// waitTick is false when ctx is done.
func waitTick(ctx context.Context, tick *time.Ticker) bool {
	select {
	case <-ctx.Done():
		return false
	case <-tick.C:
		return true
	}
}

// warnRuns counts the runs that could not be read whole.
func warnRuns(s *ui.Streams, runs []monitor.Summary) (broken int) {
	for _, r := range runs {
		switch {
		case r.BadLines > 0:
			s.Warnf("run %s: %s left out: %s", r.Run, english.Plural(r.BadLines, "unreadable line", ""), r.Problem)
		case r.Problem != "":
			s.Warnf("run %s: %s", r.Run, r.Problem)
		default:
			continue
		}
		broken++
	}
	return broken
}

// runsFit cuts the table to the terminal: the columns that matter least are the
// last ones, and a name of a run has to be told from the next.
func runsFit(s *ui.Streams) ui.Fit {
	return s.FitOut(ui.Shorten{Column: 6, Least: 20, Cuts: []ui.Cut{ui.CutPath}}, shortRun)
}

var shortRun = ui.Shorten{Column: 0, Least: 24, Cuts: []ui.Cut{ui.CutMiddle, ui.CutFront}}

func tellLeftOut(s *ui.Streams, columns []string) {
	if len(columns) > 0 {
		s.Infof("left out for want of room: %s\n", strings.Join(columns, ", "))
	}
}

func writeRuns(w io.Writer, columns *ui.Columns, runs []monitor.Summary, fit ui.Fit) (leftOut []string) {
	header := []string{"run", "state", "step", "loss", "best eval", "tokens/s", "adapter"}
	var rows [][]string
	for _, r := range runs {
		rows = append(rows, []string{r.Run, string(r.State), stepOf(r), told(r.Loss, "%.4f"), bestOf(r), told(r.TokensPerSec, "%.1f"), orDash(r.Adapter)})
	}
	return columns.Fit(w, header, rows, fit)
}

func stepOf(r monitor.Summary) string {
	if r.TotalSteps == nil {
		return told(r.Step, "%.0f")
	}
	return told(r.Step, "%.0f") + fmt.Sprintf("/%.0f", *r.TotalSteps)
}

func bestOf(r monitor.Summary) string {
	if r.BestEvalLoss == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f at %.0f", *r.BestEvalLoss, *r.BestStep)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
