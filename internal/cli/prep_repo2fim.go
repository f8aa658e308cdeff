package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/prep/fim"
	"github.com/qlora/qlora/internal/prep/scrub"
	"github.com/qlora/qlora/internal/ui"
)

const repo2fimLong = `Repo2fim turns the source files of repositories into fill-in-the-middle records,
one JSON line each: {"prefix": ..., "suffix": ..., "middle": ..., "path": ...}.
With --format text it writes plain text instead: the files in pieces, or, with
--family, such samples spelled with a family's special tokens.

It reads the files that git tracks; without git, those that the .gitignore files
leave; with --rev, those of a commit, for which the repository may be bare.
Vendored, generated, minified, binary and over-long files, lock files, test data,
links and files that spell control tokens are left out, each counted by reason.
--license keeps only files under the licenses named, which are read from SPDX
tags, the comment at the top of a file and the nearest license file above it.

The middle is a node of the syntax tree, some whole lines or the rest of one, a
run of characters, or an edge of the file; --spans sets how often each is tried
first. Languages without a grammar use lines for syntax, which is counted.
Prefix, middle and suffix together are a window of the file, byte for byte.
--level sets how often a record also carries other files of the repository, in
"context": what the file imports and its neighbours, in order of dependency,
never a near copy of it. The trainer writes each family's own tokens for them.

Secrets are masked before anything is cut. --max-chars, or -c in tokens of the
vocabulary of -m, bounds a record; without -m a token is taken for 3 bytes.

One seed gives one output, whatever the number of workers. --shard 2/7 handles
the second of seven parts of the files; "qlora prep merge" joins all parts to
the same bytes.`

func newRepo2FIMCmd(s *ui.Streams) *cobra.Command {
	o := repo2fimOptions{Options: fim.DefaultOptions()}
	cmd := &cobra.Command{
		Use:   "repo2fim --repo DIR --out FILE",
		Short: "turn repositories into fill-in-the-middle records",
		Long:  repo2fimLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep repo2fim --repo . --out data/fim.jsonl
  qlora prep repo2fim --repo ~/src/app --repo ~/src/lib --lang go --max-chars 2000 --out data/fim.jsonl
  qlora prep repo2fim --repo app.git --rev v1.2 --license MIT,Apache-2.0 --out data/fim.jsonl
  qlora prep repo2fim --repo . --level repo:1 -m base.gguf -c 4096 --out data/fim.jsonl
  qlora prep repo2fim --repo . --format text --family qwen --out data/qwen.jsonl
  qlora prep repo2fim --repo . --shard 2/7 --out parts/fim-2.jsonl`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			first := ""
			if len(o.Repos) > 0 {
				first = o.Repos[0]
			}
			if err := needFlags(cmd, "repo", first, "out", o.Out); err != nil {
				return err
			}
			if err := o.refuseOverwrite(); err != nil {
				return err
			}
			if err := o.useScrubber(); err != nil {
				return prepFailure(err)
			}
			if err := o.parse(cmd.Flags()); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *repo2fimOptions) refuseOverwrite() error {
	if err := refuseSource("-o", o.Out, ".jsonl", o.Repos...); err != nil {
		return err
	}
	return refuseOverwrite("-o", o.Out, o.model, o.extra, o.keyFile)
}

func (o *repo2fimOptions) useScrubber() (err error) {
	o.RedactRules = scrub.Rules()
	if o.Redact != fim.RedactOff {
		o.Cleaner, o.CleanerID, err = o.scrubber()
	}
	return err
}

func (o *repo2fimOptions) run(ctx context.Context, s *ui.Streams) error {
	done, err := o.countTokens(s)
	if err != nil {
		return err
	}
	defer done()
	bar := &byteProgress{s: s, label: "reading files"}
	o.Total, o.Progress = bar.start, bar.add
	report, err := fim.Convert(ctx, o.Options)
	bar.finish()
	if err != nil {
		return o.failure(s, report, err)
	}
	o.talk(s, report)
	if err := errors.Join(talkStats(ctx, s, o.model, o.Out), s.Event("summary", report)); err != nil {
		return err
	}
	return skippedInput(s, "file", report.Problems, report.Skipped)
}

func (o *repo2fimOptions) failure(s *ui.Streams, r *fim.Report, err error) error {
	switch {
	case errors.Is(err, fim.ErrNothing):
		talkTally(s, "files left out", r.Left)
		warnSkipped(s, r.Problems)
		return ui.Fail(ui.ExitInvalid, err, "check --repo, --lang and --license; git lists tracked files only, so add new files first")
	case errors.Is(err, fim.ErrRev):
		return ui.Fail(ui.ExitInvalid, err, "--rev names a commit, tag or branch that every --repo has")
	}
	return prepFailure(err)
}
