package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/prep/split"
	"github.com/qlora/qlora/internal/ui"
)

const splitLong = `Split merges data files and divides their records into train.jsonl and
eval.jsonl in --out-dir. A manifest, manifest-<name>.json, is written beside
them.

Exact duplicates are removed, so no record is in both. All records of one
session or of one source file go to the same side; so do records with the same
"group". Each kind of record is divided by itself, and both outputs hold all
kinds, line by line. One seed gives one division, whatever the order of inputs.

Earlier outputs of split among the inputs are recognised, by their manifest and
by their place, and left out. A train.jsonl or eval.jsonl that split did not
write is not replaced unless --force is given.`

type splitOptions struct{ split.Options }

func newSplitCmd(s *ui.Streams) *cobra.Command {
	var o splitOptions
	cmd := &cobra.Command{
		Use:   "split FILE...",
		Short: "merge data files and divide them into train and eval",
		Long:  splitLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep split data/*.jsonl --name full --eval-frac 0.15
  qlora prep split chat.jsonl fim.jsonl --out-dir outputs/demo --seed 7`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Inputs = args
			if err := o.Check(); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *splitOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Name, "name", "data", "label of the manifest")
	flags.Float64Var(&o.EvalFrac, "eval-frac", 0.1, "share of the records to evaluate on")
	flags.StringVar(&o.OutDir, "out-dir", "data", "folder of the outputs")
	flags.Uint64Var(&o.Seed, "seed", 42, "seed of the division")
	flags.BoolVar(&o.Force, "force", false, "replace a train.jsonl or eval.jsonl that split did not write")
}

func (o *splitOptions) run(ctx context.Context, s *ui.Streams) error {
	bar := &byteProgress{s: s, label: "reading data"}
	o.Total, o.Progress = bar.start, bar.add
	m, err := split.Split(ctx, o.Options)
	bar.finish()
	if m != nil {
		for _, skip := range m.Ignored {
			s.Infof("skipping %s: %s\n", skip.Path, skip.Reason)
		}
	}
	if err != nil {
		return splitFailure(err)
	}
	o.talk(s, m)
	if err := s.Event("summary", o.summary(m)); err != nil {
		return err
	}
	return skippedInput(s, "line", m.Problems, m.Skipped)
}

func splitFailure(err error) error {
	var foreign *split.ForeignError
	switch {
	case errors.As(err, &foreign):
		return ui.Fail(ui.ExitFailure, err,
			"rename it and give it as an input, choose another --out-dir, or replace it with --force")
	case errors.Is(err, split.ErrNothing):
		return ui.Fail(ui.ExitInvalid, err, "make data first: qlora prep logs2sft --help, qlora prep repo2fim --help")
	case errors.Is(err, split.ErrOneGroup):
		return ui.Fail(ui.ExitInvalid, err, "add another session or source file")
	default:
		return prepFailure(err)
	}
}

// splitSummary is the manifest and where it is.
type splitSummary struct {
	*split.Manifest
	Path string `json:"manifest"`
}

func (o *splitOptions) summary(m *split.Manifest) splitSummary {
	return splitSummary{Manifest: m, Path: filepath.Join(o.OutDir, "manifest-"+m.Name+".json")}
}

func (o *splitOptions) talk(s *ui.Streams, m *split.Manifest) {
	for _, in := range m.Inputs {
		s.Infof("%s: %s\n", in.Path, kindCounts(in.Kinds))
	}
	talkTally(s, "left out", m.Dropped)
	for _, note := range m.Notes {
		s.Infof("%s\n", note)
	}
	for _, out := range m.Outputs {
		s.Printf("%s: %d records in %d groups (%s)\n",
			filepath.Join(o.OutDir, out.Path), out.Records, out.Groups, kindCounts(out.Kinds))
	}
}

// kindCounts is "messages 12", or "mixed: messages 12, fim 300".
func kindCounts(kinds map[string]int) string {
	if len(kinds) == 0 {
		return "no records"
	}
	var parts []string
	for kind, n := range kinds {
		parts = append(parts, fmt.Sprintf("%s %d", kind, n))
	}
	sort.Strings(parts)
	text := strings.Join(parts, ", ")
	if len(parts) > 1 {
		return "mixed: " + text
	}
	return text
}
