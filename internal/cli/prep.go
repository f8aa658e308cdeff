package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/ui"
)

const prepLong = `Prep makes training data. Logs become conversations, repositories become
fill-in-the-middle records, and split divides any of them into a part to train
on and a part to evaluate on. Every output appears whole or not at all.`

const prepExample = `  qlora prep logs2sft --src ~/.claude/projects --out data/chat.jsonl
  qlora prep repo2fim --repo . --out data/fim.jsonl
  qlora prep split data/*.jsonl --name full --eval-frac 0.15`

func newPrepCmd(s *ui.Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "prep <command>",
		Short:   "make training data from logs and repositories",
		Long:    prepLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: prepExample,
	}
	cmd.AddCommand(newLogs2SFTCmd(s), newRepo2FIMCmd(s), newSplitCmd(s), newPrepMergeCmd(s), newScrubCmd(s), newStatsCmd(s), newShowCmd(s))
	return cmd
}

// byteProgress draws a bar of bytes whose total is known only once the input
// was listed.
type byteProgress struct {
	s     *ui.Streams
	label string
	bar   *ui.Progress
}

func (p *byteProgress) start(total int64) { p.bar = ui.NewProgress(p.s, total, p.label, "B") }

func (p *byteProgress) add(n int64) {
	if p.bar != nil {
		p.bar.Add(n)
	}
}

func (p *byteProgress) finish() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

// talkTally prints one line a reason.
func talkTally(s *ui.Streams, heading string, t prep.Tally) {
	if len(t) == 0 {
		return
	}
	s.Infof("%s:\n", heading)
	for _, reason := range t.Reasons() {
		s.Infof("  %7s  %s\n", humanize.Comma(int64(t[reason])), reason)
	}
}

// shownProblems is how many skipped lines are named on standard error.
const shownProblems = 10

// warnSkipped names what was skipped.
func warnSkipped(s *ui.Streams, problems []prep.Problem) {
	for _, p := range problems[:min(shownProblems, len(problems))] {
		s.Warnf("skipped %s", p)
	}
}

// skippedInput is the outcome of a run that had to skip lines or files: they
// are named, the output stands, and the exit status is 3.
func skippedInput(s *ui.Streams, noun string, problems []prep.Problem, total int) error {
	if total == 0 {
		return nil
	}
	warnSkipped(s, problems)
	verb := "was"
	if total > 1 {
		noun, verb = noun+"s", "were"
	}
	return ui.Fail(ui.ExitSkipped, fmt.Errorf("finished, but %d %s of the input %s skipped", total, noun, verb),
		"the output is complete without what was skipped; --json names the first 100 with file and line")
}

// prepFailure gives the errors that every prep command can meet their exit
// status.
func prepFailure(err error) error {
	var input *prep.InputError
	var damaged *dataset.DamagedError
	switch {
	case errors.As(err, &damaged):
		return ui.Fail(ui.ExitInvalid, err, "copy or pack the file again; 'qlora prep split' takes what can be read of it")
	case errors.As(err, &input):
		return ui.Fail(ui.ExitInvalid, err)
	case errors.Is(err, syscall.EISDIR):
		return ui.Fail(ui.ExitInvalid, err, "name the files in it")
	case errors.Is(err, context.Canceled):
		return ui.Fail(ui.ExitInterrupted, errors.New("interrupted, nothing was written"))
	case errors.Is(err, fs.ErrNotExist):
		return ui.Fail(ui.ExitInvalid, err, "check the path: it does not exist")
	default:
		return err
	}
}

// needFlags refuses missing values of flags that have no default.
func needFlags(cmd *cobra.Command, pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if strings.TrimSpace(pairs[i+1]) == "" {
			return asUsage(cmd, fmt.Errorf("%s needs --%s", cmd.CommandPath(), pairs[i]))
		}
	}
	return nil
}

// limitMemory sets a soft limit and returns what undoes it. A limit that the
// user set stays.
func limitMemory(bytes int64) (undo func()) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	before := debug.SetMemoryLimit(bytes)
	return func() { debug.SetMemoryLimit(before) }
}
