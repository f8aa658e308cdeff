package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sort"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/prep/shard"
	"github.com/qlora/qlora/internal/prep/split"
	"github.com/qlora/qlora/internal/ui"
)

const splitLong = `Split merges data files and divides their records into train.jsonl and
eval.jsonl in --out-dir. A manifest, manifest-<name>.json, is written beside
them. Files of chats (messages, ShareGPT, Alpaca, prompt and completion), of
text and of fill-in-the-middle records may be mixed.

Of exact and near duplicates one is kept, the longest. Near duplicates are
records of different conversations or files whose runs of five words agree to
--near or more (Jaccard similarity; chats without tool results and system
messages). They are found by MinHash and then compared exactly.

Whole groups go to one side: all records of one session or file, or of one
repository, and whatever such groups have near copies of. Each kind of record
and each input is divided by itself, so that both outputs hold all of them, line
by line. At the end every evaluated record is looked up among the trained ones,
and the nearest is named. One seed gives one division, whatever the order of
inputs and the number of workers.

With --shard i/n the command only describes its part of the inputs, into the
folder --parts; the same call without --shard, once all n are there, divides.

Earlier outputs of split among the inputs are recognised, by their manifest and
by their place, and left out. A train.jsonl or eval.jsonl that split did not
write is not replaced unless --force is given.`

type splitOptions struct {
	split.Options
	shard, ram, model string
	strict            bool
}

func newSplitCmd(s *ui.Streams) *cobra.Command {
	o := splitOptions{Options: split.DefaultOptions()}
	cmd := &cobra.Command{
		Use:   "split FILE...",
		Short: "merge data files and divide them into train and eval",
		Long:  splitLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep split data/*.jsonl --name full --eval-frac 0.15
  qlora prep split chat.jsonl fim.jsonl --out-dir outputs/demo --seed 7 --near 0.8
  qlora prep split data/*.jsonl -m base.gguf --max-tokens 4096 --max-samples 20000
  qlora prep split data/*.jsonl --parts work --shard 1/2
  qlora prep split data/*.jsonl --parts work`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Inputs = args
			closeModel, err := o.complete(cmd)
			if err != nil {
				return err
			}
			return errors.Join(o.run(cmd.Context(), s), closeModel())
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *splitOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.Name, "name", o.Name, "label of the manifest and of parts")
	flags.Float64Var(&o.EvalFrac, "eval-frac", o.EvalFrac, "share of the records to evaluate on")
	flags.StringVar(&o.OutDir, "out-dir", o.OutDir, "folder of the outputs")
	flags.Uint64Var(&o.Seed, "seed", o.Seed, "seed of the division")
	flags.Float64Var(&o.Near, "near", o.Near, "similarity of near duplicates, from 0.5 to 1; 0 keeps them, and looks for no leaks")
	enumVar(flags, &o.GroupBy, "group-by", o.GroupBy, split.Groupings, "what keeps code together; auto is repo when there are several")
	flags.IntVar(&o.MaxSamples, "max-samples", 0, "records to keep in all, of each input its share; 0 keeps all")
	flags.IntVar(&o.MinChars, "min-chars", 0, "characters of a record's text at least")
	flags.IntVar(&o.MaxChars, "max-chars", 0, "characters of a record's text at most; 0 is any")
	flags.StringVarP(&o.model, "model", "m", "", "GGUF `file` whose vocabulary counts tokens")
	flags.IntVar(&o.MinTokens, "min-tokens", 0, "tokens of a record's text at least, with -m")
	flags.IntVar(&o.MaxTokens, "max-tokens", 0, "tokens of a record's text at most, with -m; 0 is any")
	flags.StringSliceVar(&o.Avoid, "decontaminate", nil, "`files` of text or JSON lines: records that share ten words in a row are left out")
	flags.StringVar(&o.shard, "shard", "", "describe part `i/n` of the inputs only")
	flags.StringVar(&o.Parts, "parts", "", "`folder` of the parts that --shard writes")
	flags.IntVar(&o.Workers, "workers", runtime.GOMAXPROCS(0), "goroutines")
	flags.StringVar(&o.ram, "signature-ram", "512MiB", "memory for signatures; the rest goes to files in --out-dir")
	flags.BoolVar(&o.strict, "strict", false, "fail, and write nothing, when a line of the input cannot be used")
	flags.BoolVar(&o.Force, "force", false, "replace a train.jsonl or eval.jsonl that split did not write")
}

// complete parses what flags hold as text and opens the vocabulary, which the
// caller closes.
func (o *splitOptions) complete(cmd *cobra.Command) (closeModel func() error, err error) {
	closeModel = func() error { return nil }
	if o.Shard, err = shard.Parse(o.shard); err != nil {
		return closeModel, asUsage(cmd, err)
	}
	ram, err := humanize.ParseBytes(o.ram)
	if err != nil || ram < 1<<20 || ram > 1<<45 {
		return closeModel, asUsage(cmd, fmt.Errorf("--signature-ram %q: want a size of 1MiB or more, such as 512MiB", o.ram))
	}
	o.SignatureRAM, o.Strict = int64(ram), o.strict
	if o.model != "" {
		if closeModel, err = o.countTokens(); err != nil {
			return func() error { return nil }, err
		}
	}
	if err := o.Check(); err != nil {
		return closeModel, errors.Join(asUsage(cmd, err), closeModel())
	}
	return closeModel, nil
}

// countTokens counts with the vocabulary of the model.
func (o *splitOptions) countTokens() (func() error, error) {
	if err := checkModel(o.model, nil); err != nil {
		return nil, err
	}
	model, err := llama.Load(o.model, llama.LoadOptions{VocabOnly: true})
	if err != nil {
		return nil, invalidInput(err)
	}
	vocab := model.Vocab()
	o.TokensID = fmt.Sprintf("%s %d", filepath.Base(o.model), vocab.Size())
	o.Tokens = func(text string) (int, error) {
		tokens, err := vocab.Encode(text, false)
		return len(tokens), err
	}
	return model.Close, nil
}

// room is what split takes beside signatures, bytes: a hint to the collector
// of garbage, so that memory follows --signature-ram.
const room = 256 << 20

func (o *splitOptions) run(ctx context.Context, s *ui.Streams) error {
	defer limitMemory(o.SignatureRAM + room)()
	bar := &byteProgress{s: s, label: "reading data"}
	o.Total, o.Progress, o.Phase = bar.start, bar.add, bar.phase
	if o.Shard.Part() {
		return o.runPart(ctx, s, bar)
	}
	m, err := split.Split(ctx, o.Options)
	bar.finish()
	if m != nil {
		for _, skip := range m.Ignored {
			s.Infof("skipping %s: %s\n", skip.Path, skip.Reason)
		}
	}
	if errors.Is(err, split.ErrNothing) {
		talkTally(s, "left out", m.Dropped)
		warnSkipped(s, m.Problems)
	}
	if err != nil {
		return splitFailure(err)
	}
	o.talk(s, m)
	if err := errors.Join(o.talkStats(ctx, s, m), s.Event("summary", o.summary(m))); err != nil {
		return err
	}
	return skippedInput(s, "line", m.Problems, m.Skipped)
}

// phase renames the bar.
func (p *byteProgress) phase(what string) {
	p.label = what
	if p.bar != nil {
		p.bar.Describe(what)
	}
}

// runPart describes one shard. What it skipped is reported when the parts are
// put together.
func (o *splitOptions) runPart(ctx context.Context, s *ui.Streams, bar *byteProgress) error {
	r, err := split.Part(ctx, o.Options)
	bar.finish()
	if err != nil {
		return splitFailure(err)
	}
	talkTally(s, "left out", r.Dropped)
	s.Printf("%s: %s in %s, part %s\n", r.Path, english.Plural(r.Records, "record", ""), english.Plural(r.Blocks, "block", ""), r.Shard)
	return s.Event("summary", r)
}

func splitFailure(err error) error {
	var foreign *split.ForeignError
	switch {
	case errors.As(err, &foreign):
		return ui.Fail(ui.ExitUsage, err,
			"rename it and give it as an input, choose another --out-dir, or replace it with --force")
	case errors.Is(err, split.ErrNothing):
		return ui.Fail(ui.ExitInvalid, err, "make data first: qlora prep logs2sft --help, qlora prep repo2fim --help")
	case errors.Is(err, split.ErrParts):
		return ui.Fail(ui.ExitInvalid, err, "run every --shard i/n with the same inputs, options and build of qlora, then the same call without --shard")
	case errors.Is(err, split.ErrStrict):
		return ui.Fail(ui.ExitInvalid, err, "mend the input, or leave --strict out to skip such lines")
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
	talkLeak(s, m)
	for _, out := range m.Outputs {
		s.Printf("%s: %s in %s (%s)\n", filepath.Join(o.OutDir, out.Path),
			english.Plural(out.Records, "record", ""), english.Plural(out.Groups, "group", ""), kindCounts(out.Kinds))
	}
}

// talkLeak says how near eval comes to train.
func talkLeak(s *ui.Streams, m *split.Manifest) {
	switch l := m.Leak; {
	case l == nil:
		s.Infof("near duplicates were not looked for: --near 0\n")
	case l.Max == 0:
		s.Infof("no record of %s resembles one of %s\n", split.EvalFile, split.TrainFile)
	default:
		s.Infof("nearest to train: %s:%d is %.3f like %s:%d; %d of %d at %.3f or more\n",
			split.EvalFile, l.Eval, l.Max, split.TrainFile, l.Train, l.Over, l.Checked, m.Near)
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
