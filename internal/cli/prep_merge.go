package cli

import (
	"errors"
	"io/fs"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/prep/shard"
	"github.com/qlora/qlora/internal/ui"
)

const prepMergeLong = `Merge joins the outputs that a prep command wrote with --shard 1/n to n/n into
the file that one run without --shard writes, byte for byte.

Beside each part, FILE, must lie FILE.shard.json, which the command wrote with
it. All n parts must be there, complete, unchanged and made with the same
options and version of qlora; their order on the command line does not matter.`

func newPrepMergeCmd(s *ui.Streams) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "merge FILE... --out FILE",
		Short: "join the parts that --shard made",
		Long:  prepMergeLong + exitStatus(ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep merge parts/*.jsonl --out data/chat.jsonl
  qlora prep merge part-1.jsonl part-2.jsonl --out data/fim.jsonl`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "out", out); err != nil {
				return err
			}
			if err := refuseOverwrite("-o", out, args...); err != nil {
				return err
			}
			r, err := shard.Merge(cmd.Context(), out, args)
			if err != nil {
				return mergeFailure(err)
			}
			talkTally(s, "left out", r.Dropped)
			s.Printf("%s: %s, %s left out, %s\n", out, english.Plural(int(r.Records), "record", ""), english.Plural(int(r.Duplicates), "copy", ""), humanize.IBytes(uint64(r.Bytes)))
			return s.Event("summary", prepMergeSummary{Out: out, Result: r})
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "file to write")
	return cmd
}

type prepMergeSummary struct {
	Out string `json:"out"`
	*shard.Result
}

func mergeFailure(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ui.Fail(ui.ExitInvalid, err, "beside each part, FILE, must lie FILE.shard.json; parts of split are put together by split, without --shard")
	case errors.Is(err, shard.ErrMissing):
		return ui.Fail(ui.ExitInvalid, err, "give the files of all parts, 1/n to n/n")
	case errors.Is(err, shard.ErrForeign):
		return ui.Fail(ui.ExitInvalid, err, "make all parts with the same command, options and n")
	case errors.Is(err, shard.ErrRules):
		return ui.Fail(ui.ExitInvalid, err, "make all parts with one build of qlora; qlora version tells which it is")
	case errors.Is(err, shard.ErrPart):
		return ui.Fail(ui.ExitInvalid, err, "run the command again for that part")
	default:
		return prepFailure(err)
	}
}
