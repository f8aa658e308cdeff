package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/show"
	"github.com/qlora/qlora/internal/ui"
)

const showLong = `Show prints records of a data file so that one can read them: the messages of a
chat under the names of their roles, tool calls and results shortened, the hole
of a fill-in-the-middle record between [[ and ]] in its file. Lines that are
trained have a bar at their left.

It takes the first --n records, those from --index or --line on, or with --seed
as many drawn from the whole file. With -m it marks what training with that
model would train, and counts tokens. --raw prints the text as the model reads
it, with the chat template's own tokens, and marks the trained part exactly.
The file may be packed with gzip or zstd.

On a terminal the output goes through $PAGER, or less.`

type showOptions struct {
	vocabularyOptions
	n, index, line int
	seed           int64
	seeded         bool
	raw, full      bool
	noColor        bool
}

func newShowCmd(s *ui.Streams) *cobra.Command {
	var o showOptions
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "print records of a data file with the trained part marked",
		Long:  showLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep show data/train.jsonl
  qlora prep show data/train.jsonl --n 5 --seed 7
  qlora prep show data/train.jsonl --line 120 -m base.gguf --raw`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.note(cmd)
			if err := o.check(cmd); err != nil {
				return asUsage(cmd, err)
			}
			return o.run(cmd.Context(), s, args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.IntVar(&o.n, "n", 3, "records to show; 1 after --index or --line unless given")
	flags.IntVar(&o.index, "index", 0, "start at this record, counted from 1")
	flags.IntVar(&o.line, "line", 0, "start at this line of the file, counted from 1")
	flags.Int64Var(&o.seed, "seed", 0, "draw the records from the whole file with this seed")
	o.vocabularyOptions.addFlags(flags)
	flags.BoolVar(&o.raw, "raw", false, "print the text as the model reads it (needs -m)")
	flags.BoolVar(&o.full, "full", false, "shorten nothing")
	return cmd
}

// note takes what depends on whether a flag was given.
func (o *showOptions) note(cmd *cobra.Command) {
	flags := cmd.Flags()
	o.seeded = flags.Changed("seed")
	o.noColor, _ = flags.GetBool("no-color") // a flag of every command
	if !flags.Changed("n") && (flags.Changed("index") || flags.Changed("line")) {
		o.n = 1
	}
}

func (o *showOptions) check(cmd *cobra.Command) error {
	flags := cmd.Flags()
	switch {
	case o.n < 1:
		return fmt.Errorf("--n %d: at least 1", o.n)
	case flags.Changed("index") && o.index < 1, flags.Changed("line") && o.line < 1:
		return errors.New("--index and --line are counted from 1")
	case o.index > 0 && o.line > 0, o.seeded && o.index+o.line > 0:
		return errors.New("give one of --index, --line and --seed")
	case o.raw && o.model == "":
		return errors.New("--raw needs a model: name a GGUF file with -m")
	}
	return nil
}

func (o *showOptions) run(ctx context.Context, s *ui.Streams, path string) (err error) {
	v, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	picked, err := o.pick(ctx, s, path)
	if errors.Is(err, show.ErrNotThere) {
		return ui.Fail(ui.ExitInvalid, err, "count its records with: qlora prep stats "+path)
	}
	if err != nil {
		return prepFailure(err)
	}
	r := &recordPrinter{o: o, s: s, v: v, style: o.style(s)}
	err = page(ctx, s, func(w io.Writer) error {
		for _, p := range picked {
			if err := errors.Join(ctx.Err(), r.print(w, p)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return prepFailure(err)
	}
	if err := s.Event("summary", showSummary{Shown: len(picked) - len(r.problems), Problems: r.problems}); err != nil {
		return err
	}
	return unreadable(s, r.problems)
}

// showSummary closes the output of --json.
type showSummary struct {
	Shown    int            `json:"shown"`
	Problems []prep.Problem `json:"problems,omitempty"`
}

// unreadable names the records that could not be shown.
func unreadable(s *ui.Streams, problems []prep.Problem) error {
	if len(problems) == 0 {
		return nil
	}
	for _, p := range problems[:min(shownProblems, len(problems))] {
		s.Warnf("skipped %s", p)
	}
	return ui.Fail(ui.ExitSkipped, fmt.Errorf("%d of the records cannot be used", len(problems)),
		"prep stats counts such lines in the whole file")
}

func (o *showOptions) pick(ctx context.Context, s *ui.Streams, path string) ([]show.Picked, error) {
	bar := &byteProgress{s: s, label: "reading"}
	if o.seeded {
		bar.start(dataset.Size([]string{path}))
	}
	defer bar.finish()
	return show.Pick(ctx, path, show.Choice{N: o.n, Index: o.index, Line: o.line,
		Random: o.seeded, Seed: o.seed, Progress: bar.add})
}

// style is what standard output can show. Colour follows the rules of standard
// error, for another end.
func (o *showOptions) style(s *ui.Streams) show.Style {
	style := show.Style{ASCII: !s.OutTTY || s.Dumb, Full: o.full}
	if s.OutTTY {
		style.Width = s.Width
		style.Color = !s.Dumb && !o.noColor && os.Getenv("NO_COLOR") == ""
	}
	return style
}

// recordPrinter prints records one after the other.
type recordPrinter struct {
	o        *showOptions
	s        *ui.Streams
	v        *vocabulary
	style    show.Style
	problems []prep.Problem
}

func (r *recordPrinter) print(w io.Writer, p show.Picked) error {
	view, err := r.view(p)
	if err != nil {
		r.problems = append(r.problems, prep.Problem{File: p.File, Line: p.Line, Reason: err.Error()})
		if r.s.JSON {
			return nil
		}
		_, err = fmt.Fprintf(w, "%s:%d  record %d cannot be used: %s\n\n", p.File, p.Line, p.Index, err)
		return err
	}
	var runs []show.Run
	if r.o.raw {
		runs = show.Runs(view.Sequence, r.v.model.Vocab().Decode)
	}
	switch {
	case r.s.JSON:
		return r.s.Event("record", newShownRecord(view, runs))
	case r.o.raw:
		_, err = io.WriteString(w, show.RenderRaw(view, runs, r.style))
	default:
		_, err = io.WriteString(w, show.Render(view, r.style))
	}
	return err
}

func (r *recordPrinter) view(p show.Picked) (*show.View, error) {
	if p.Err != nil {
		return nil, p.Err
	}
	record, err := dataset.ReadRecord(p.Data)
	if err != nil {
		return nil, err
	}
	view := &show.View{Picked: p, Record: record}
	if r.v != nil {
		view.Sequence, err = r.v.Encode(record)
	}
	return view, err
}

// shownRecord is a record in JSON.
type shownRecord struct {
	File    string          `json:"file"`
	Line    int             `json:"line"`
	Index   int             `json:"index"`
	Kind    string          `json:"kind"`
	Turns   []int           `json:"trained_messages,omitempty"` // indices, from 0
	Tokens  *int            `json:"tokens,omitempty"`
	Trained *int            `json:"trained_tokens,omitempty"`
	Runs    []show.Run      `json:"runs,omitempty"`
	Record  json.RawMessage `json:"record"`
}

func newShownRecord(v *show.View, runs []show.Run) shownRecord {
	out := shownRecord{File: v.File, Line: v.Line, Index: v.Index, Kind: string(v.Record.Kind),
		Turns: v.Trained(), Runs: runs, Record: v.Data}
	if q := v.Sequence; q != nil {
		tokens, trained := len(q.Tokens), q.Trained()
		out.Tokens, out.Trained = &tokens, &trained
	}
	return out
}
