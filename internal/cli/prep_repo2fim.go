package cli

import (
	"context"
	"errors"
	"runtime"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/prep/fim"
	"github.com/qlora/qlora/internal/ui"
)

const repo2fimLong = `Repo2fim turns the source files of repositories into fill-in-the-middle records,
one JSON line each: {"prefix": ..., "suffix": ..., "middle": ..., "path": ...}.
With --format text it writes the files as plain text in pieces instead.

It reads the files that git tracks; without git, those that the .gitignore files
leave. Vendored, generated, minified, binary and over-long files, lock files,
test data and files that spell control tokens are left out and counted.

The middle is a Go statement, block or function body, some whole lines, or a run
of characters; --spans sets how often each is tried first. Prefix, middle and
suffix together are a window of the file, byte for byte, of at most --max-chars.
One seed gives one output, whatever the number of workers.`

type repo2fimOptions struct {
	fim.Options
	spans string
}

func newRepo2FIMCmd(s *ui.Streams) *cobra.Command {
	o := repo2fimOptions{Options: fim.DefaultOptions()}
	cmd := &cobra.Command{
		Use:   "repo2fim --repo DIR --out FILE",
		Short: "turn repositories into fill-in-the-middle records",
		Long:  repo2fimLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep repo2fim --repo . --out data/fim.jsonl
  qlora prep repo2fim --repo ~/src/app --repo ~/src/lib --lang go --max-chars 2000 --out data/fim.jsonl
  qlora prep repo2fim --repo . --format text --out data/code.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			first := ""
			if len(o.Repos) > 0 {
				first = o.Repos[0]
			}
			if err := needFlags(cmd, "repo", first, "out", o.Out); err != nil {
				return err
			}
			shares, err := fim.ParseShares(o.spans)
			if err != nil {
				return asUsage(cmd, err)
			}
			o.Shares = shares
			if err := o.Check(); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *repo2fimOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.Repos, "repo", nil, "repository to read; may be given several times")
	flags.StringVarP(&o.Out, "out", "o", "", "file to write")
	enumVar(flags, &o.Format, "format", o.Format, []string{fim.FormatFIM, fim.FormatText}, "kind of record")
	flags.StringSliceVar(&o.Languages, "lang", nil, "languages to keep, such as go,python (default all)")
	flags.IntVar(&o.MaxChars, "max-chars", o.MaxChars, "bytes of a record's text; about a third as many tokens")
	flags.IntVar(&o.MaxMiddle, "max-middle", o.MaxMiddle, "bytes of a middle")
	flags.IntVar(&o.PerFile, "per-file", o.PerFile, "records of one file at most")
	flags.Int64Var(&o.MaxFile, "max-file", o.MaxFile, "bytes of a file at most; longer ones are left out")
	flags.StringVar(&o.spans, "spans", o.Shares.String(), "how often each way of choosing the middle is tried first")
	flags.Uint64Var(&o.Seed, "seed", o.Seed, "seed of all random choices")
	flags.IntVar(&o.Workers, "workers", runtime.GOMAXPROCS(0), "files looked at together")
}

func (o *repo2fimOptions) run(ctx context.Context, s *ui.Streams) error {
	bar := &byteProgress{s: s, label: "reading files"}
	o.Total, o.Progress = bar.start, bar.add
	report, err := fim.Convert(ctx, o.Options)
	bar.finish()
	if errors.Is(err, fim.ErrNothing) {
		talkTally(s, "files left out", report.Left)
		return ui.Fail(ui.ExitInvalid, err, "check --repo and --lang; git lists tracked files only, so add new files first")
	}
	if err != nil {
		return prepFailure(err)
	}
	o.talk(s, report)
	if err := s.Event("summary", report); err != nil {
		return err
	}
	return skippedInput(s, "file", report.Problems, report.Skipped)
}

func (o *repo2fimOptions) talk(s *ui.Streams, r *fim.Report) {
	for _, l := range r.Repos {
		if l.Note != "" {
			s.Infof("%s: %s; read %d files by walking the folder\n", l.Dir, l.Note, l.Files)
		} else {
			s.Infof("%s: %d files that git tracks\n", l.Dir, l.Files)
		}
	}
	talkTally(s, "files left out", r.Left)
	talkTally(s, "records by language", r.Languages)
	talkTally(s, "records by kind of middle", r.Kinds)
	if r.Unparsed > 0 {
		s.Infof("%d Go files do not parse: no spans by syntax from them\n", r.Unparsed)
	}
	s.Printf("%s: %d records from %d of %d files, %s\n",
		o.Out, r.Records, r.Used, r.Files, humanize.IBytes(uint64(r.OutBytes)))
}
