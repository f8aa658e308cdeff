package cli

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/scrub"
	"github.com/qlora/qlora/internal/ui"
)

const scrubLong = `Scrub writes a copy of files in which secrets and personal data are replaced:
keys and tokens by gitleaks' rules and our own, passwords in connection
strings, private keys, e-mail addresses and the names of home directories.

Equal secrets get equal replacements, <redacted-0123456789>, by a hash with the
seed. Whoever knows the seed can test a guess: where secrets are guessable, add
a key of your own with --redact-key-file.

JSONL is read record by record and its strings are cleaned after decoding; with
--text any text is cleaned line by line. No pattern finds every secret: look
through the output before you share it. Counts are shown by rule, never a value.

Without FILE, or for -, standard input is read. Several files become one. Input
may be packed with gzip or zstd; the output is not.`

type scrubOptions struct {
	redaction
	out, mode  string
	text, list bool
	workers    int
}

func newScrubCmd(s *ui.Streams) *cobra.Command {
	var o scrubOptions
	cmd := &cobra.Command{
		Use:   "scrub [FILE...] --out FILE",
		Short: "replace secrets and personal data in files",
		Long:  scrubLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep scrub data/chat.jsonl --out data/clean.jsonl
  qlora prep scrub notes.txt --text --out clean.txt --redact-extra names.txt
  qlora prep scrub data/chat.jsonl --mode drop --out data/clean.jsonl
  qlora prep scrub --list-rules`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !o.list {
				if err := needFlags(cmd, "out", o.out); err != nil {
					return err
				}
			}
			if o.workers < 1 {
				return asUsage(cmd, fmt.Errorf("--workers is %d: give 1 or more", o.workers))
			}
			if err := o.check(o.mode); err != nil {
				return asUsage(cmd, err)
			}
			if err := refuseOverwrite("-o", o.out, slices.Concat(args, []string{o.extra, o.keyFile})...); err != nil {
				return err
			}
			return o.run(cmd.Context(), s, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.out, "out", "o", "", "file to write")
	enumVar(flags, &o.mode, "mode", redactMask, redactModes, "mask replaces, drop leaves the record or line out, off copies")
	o.redaction.addFlags(flags)
	flags.Uint64Var(&o.seed, "seed", 0, "seed of the replacements")
	flags.BoolVar(&o.text, "text", false, "read lines of text, not JSONL")
	flags.IntVar(&o.workers, "workers", runtime.GOMAXPROCS(0), "lines are cleaned by so many at once; the output does not depend on it")
	flags.BoolVar(&o.list, "list-rules", false, "list the rules and stop")
	return cmd
}

// scrubReport is the summary of a run.
type scrubReport struct {
	Records  int            `json:"records"`
	Dropped  int            `json:"dropped"`
	Redacted prep.Tally     `json:"redacted"`
	Skipped  int            `json:"skipped"`
	Problems []prep.Problem `json:"problems,omitempty"`
}

func (o *scrubOptions) run(ctx context.Context, s *ui.Streams, paths []string) error {
	scrubber, _, err := o.scrubber()
	if err != nil {
		return prepFailure(err)
	}
	if o.list {
		return listRules(s, scrubber)
	}
	if len(paths) == 0 {
		paths = []string{"-"}
	}
	if err := checkPipes(paths, 1); err != nil {
		return err
	}
	out, err := prep.Create(o.out)
	if err != nil {
		return err
	}
	defer out.Abort()
	report := scrubReport{Redacted: prep.Tally{}}
	bar := &byteProgress{s: s, label: "cleaning"}
	bar.start(dataset.Size(paths))
	job := scrubJob{options: o, scrubber: scrubber, in: s.In, paths: paths, out: out, report: &report, progress: bar.add}
	err = job.run(ctx)
	bar.finish()
	switch {
	case err != nil:
		return prepFailure(err)
	case report.Skipped > 0 && report.Records+report.Dropped == 0:
		return ui.Fail(ui.ExitInvalid, fmt.Errorf("no line of the input can be used: %s", report.Problems[0]),
			"JSONL is wanted; --text cleans any other text")
	}
	if err := out.Commit(); err != nil {
		return err
	}
	talkTally(s, "found, by rule", report.Redacted)
	s.Printf("%s: %s, %d left out\n", o.out, english.Plural(report.Records, "record", ""), report.Dropped)
	if err := s.Event("summary", report); err != nil {
		return err
	}
	return skippedInput(s, "line", report.Problems, report.Skipped)
}

func listRules(s *ui.Streams, scrubber *scrub.Scrubber) error {
	for _, r := range scrubber.Rules() {
		s.Printf("%-42s %s\n", r.ID, r.Description)
	}
	return s.Event("rules", map[string]any{"rules": scrubber.Rules()})
}
