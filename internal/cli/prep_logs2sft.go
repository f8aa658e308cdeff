package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/prep/chatlog"
	"github.com/qlora/qlora/internal/ui"
)

const logs2sftLong = `Logs2sft turns logs of Claude into conversations, one JSON line each:
{"messages": [...], "tools": [...], "source": ..., "session": ...}.

What a file is, is found by looking into it, whatever its name: sessions of
Claude Code (also those of sub-agents), exports of claude.ai
(conversations.json, or the .zip it came in), logs of the Messages API (pairs
of request and response, or streams of events), Message Batches (the requests
with their results) and captures of stream-json; plain or compressed with gzip
or zstd.

It follows the branch that a session ended on, puts the pieces of each reply
together, keeps parallel tool calls with their results, starts a new
conversation where the context was compacted, and leaves out what no person and
no model wrote. History that was logged again, by resuming a session or with
every request, is trained on once. A reply that was interrupted or refused
stays as context with "train": false.

Logs of sessions do not say which tools there were: with --tools observed each
conversation declares those it calls, with the arguments seen in all calls.

With -c, conversations are divided before prompts into windows of at most that
many tokens of the vocabulary of -m; without -m a token is taken for 3.5 bytes.

The terms of the service that wrote the replies apply to training on them.`

func newLogs2SFTCmd(s *ui.Streams) *cobra.Command {
	var o logs2sftOptions
	cmd := &cobra.Command{
		Use:   "logs2sft --src PATH --out FILE",
		Short: "turn Claude logs and exports into conversations",
		Long:  logs2sftLong + exitStatus(ui.ExitSkipped, ui.ExitInvalid, ui.ExitInterrupted),
		Example: `  qlora prep logs2sft --src ~/.claude/projects --out data/chat.jsonl
  qlora prep logs2sft --src export.zip --src proxy.jsonl.zst -o data/chat.jsonl --tool-result-max 800
  qlora prep logs2sft --src logs -o data/chat.jsonl -m model.gguf -c 4096 --thinking field
  qlora prep logs2sft --src logs -o part2.jsonl --shard 2/7`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "src", joined(o.src), "out", o.out); err != nil {
				return err
			}
			if err := refuseSource("-o", o.out, "", o.src...); err != nil {
				return err
			}
			if err := refuseOverwrite("-o", o.out, slices.Concat(o.src, []string{o.model, o.tools, o.extra, o.keyFile})...); err != nil {
				return err
			}
			return o.run(cmd, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func (o *logs2sftOptions) run(cmd *cobra.Command, s *ui.Streams) error {
	options, closeVocab, err := o.options(cmd)
	if err != nil {
		return err
	}
	defer closeVocab()
	bar := &byteProgress{s: s, label: "reading logs"}
	options.Total, options.Progress = bar.start, bar.add
	report, err := convertLogs(cmd.Context(), options)
	bar.finish()
	switch {
	case errors.Is(err, chatlog.ErrNothing):
		talkTally(s, "left out", report.Dropped)
		warnSkipped(s, report.Problems)
		return ui.Fail(ui.ExitInvalid, err, "point --src at a folder of Claude Code sessions, usually ~/.claude/projects, or at an export or API log")
	case errors.Is(err, chatlog.ErrStrict):
		return ui.Fail(ui.ExitInvalid, err, "without --strict it is skipped and counted")
	case err != nil:
		return prepFailure(err)
	}
	o.talk(s, report)
	if err := errors.Join(talkStats(cmd.Context(), s, o.model, o.out), s.Event("summary", report)); err != nil {
		return err
	}
	return skippedInput(s, "line", report.Problems, report.Skipped)
}

// convertLogs keeps the collector from letting memory grow to twice what is
// used: lines of logs can be very long.
func convertLogs(ctx context.Context, o chatlog.Options) (*chatlog.Report, error) {
	defer limitMemory(logMemory)()
	return chatlog.Convert(ctx, o)
}
