package cli

import (
	"context"
	"errors"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/prep/chatlog"
	"github.com/qlora/qlora/internal/ui"
)

const logs2sftLong = `Logs2sft turns session logs of Claude Code into conversations, one JSON line
each: {"messages": [...], "source": ..., "session": ...}.

It follows the branch that a session ended on, puts the pieces of each reply
together, keeps parallel tool calls with their results, starts a new
conversation where the context was compacted, and leaves out what no person and
no model wrote. History that resuming a session copied is trained on once. A
reply that was interrupted or refused stays as context with "train": false.

Logs hold whatever was on the screen, secrets included: look through the output
before you share a model that was trained on it. The terms of the service that
wrote the replies apply to training on them.`

type logs2sftOptions struct {
	src, out   string
	sidechains bool
	summaries  bool
	limit      int
	system     string
}

func newLogs2SFTCmd(s *ui.Streams) *cobra.Command {
	var o logs2sftOptions
	cmd := &cobra.Command{
		Use:   "logs2sft --src DIR --out FILE",
		Short: "turn Claude Code session logs into conversations",
		Long:  logs2sftLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep logs2sft --src ~/.claude/projects --out data/chat.jsonl
  qlora prep logs2sft --src data/staging/claude --out data/chat.jsonl --tool-result-max 800`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "src", o.src, "out", o.out); err != nil {
				return err
			}
			return o.run(cmd.Context(), s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *logs2sftOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.src, "src", "", "folder that is searched for *.jsonl logs, or one log")
	flags.StringVarP(&o.out, "out", "o", "", "file to write")
	flags.BoolVar(&o.sidechains, "sidechains", false, "keep sub-agents' sessions as conversations of their own")
	flags.BoolVar(&o.summaries, "summaries", false, "open a conversation after a compaction with its summary")
	flags.IntVar(&o.limit, "tool-result-max", 4000, "bytes kept of a tool result, cut in the middle; 0 keeps all")
	flags.StringVar(&o.system, "system", "", "system message for every conversation")
}

func (o *logs2sftOptions) run(ctx context.Context, s *ui.Streams) error {
	bar := &byteProgress{s: s, label: "reading logs"}
	report, err := chatlog.Convert(ctx, chatlog.Options{
		Source: o.src, Out: o.out, Sidechains: o.sidechains, Summaries: o.summaries,
		ResultLimit: o.limit, System: o.system, Total: bar.start, Progress: bar.add,
	})
	bar.finish()
	if errors.Is(err, chatlog.ErrNothing) {
		talkTally(s, "left out", report.Dropped)
		return ui.Fail(ui.ExitInvalid, err, "point --src at a folder of Claude Code sessions, usually ~/.claude/projects")
	}
	if err != nil {
		return prepFailure(err)
	}
	o.talk(s, report)
	if err := s.Event("summary", report); err != nil {
		return err
	}
	return skippedInput(s, "line", report.Problems, report.Skipped)
}

func (o *logs2sftOptions) talk(s *ui.Streams, r *chatlog.Report) {
	s.Infof("read %d files, %s lines, %s\n", r.Files, humanize.Comma(int64(r.Lines)), humanize.IBytes(uint64(r.Bytes)))
	talkTally(s, "left out", r.Dropped)
	talkTally(s, "kept as context, without loss", r.Held)
	s.Printf("%s: %d conversations, %d messages, %d replies to train on, %d tool calls\n",
		o.out, r.Conversations, r.Messages, r.Replies, r.Calls)
}
