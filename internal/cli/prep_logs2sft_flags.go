package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/prep/chatlog"
	"github.com/qlora/qlora/internal/prep/scrub"
	"github.com/qlora/qlora/internal/prep/shard"
	"github.com/qlora/qlora/internal/ui"
)

type logs2sftOptions struct {
	src        []string
	out        string
	format     string
	sidechains string
	summaries  bool
	thinking   string
	limit      int
	toolArgs   string
	parallel   string
	tools      string
	system     string
	model      string
	window     int
	redact     string
	strict     bool
	workers    int
	shard      string
	redaction
}

func (o *logs2sftOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.src, "src", nil, "log, export, or folder that is searched for them; may be given again")
	flags.StringVarP(&o.out, "out", "o", "", "file to write")
	flags.StringVar(&o.format, "format", string(chatlog.FormatMessages), "messages, sharegpt, alpaca or prompt-completion")
	flags.StringVar(&o.sidechains, "sidechains", "drop", "conversations of sub-agents: `drop|separate`; given alone, separate")
	flags.Lookup("sidechains").NoOptDefVal = "separate"
	flags.BoolVar(&o.summaries, "summaries", false, "open a conversation after a compaction with its summary")
	flags.StringVar(&o.thinking, "thinking", string(chatlog.ThinkingDrop), "thinking: drop, field (reasoning_content) or tags (<think>)")
	flags.IntVar(&o.limit, "tool-result-max", 4000, "bytes kept of a tool result, cut in the middle; 0 keeps all")
	flags.StringVar(&o.toolArgs, "tool-args", string(chatlog.ArgsObject), "arguments of calls: object or string")
	flags.StringVar(&o.parallel, "parallel-calls", "keep", "several calls of one reply: keep, or split into a message each, as Llama 3.1 wants")
	flags.StringVar(&o.tools, "tools", "observed", "declared tools: observed, none, or a JSON file with a list of them")
	flags.StringVar(&o.system, "system", "", "system message for every conversation, instead of that of the log")
	flags.StringVarP(&o.model, "model", "m", "", "GGUF file whose vocabulary measures windows")
	flags.IntVarP(&o.window, "context", "c", 0, "tokens of a conversation at most; 0 is no limit")
	enumVar(flags, &o.redact, "redact", redactMask, redactModes, "secrets and personal data: mask them, drop conversations that hold any, or leave them")
	o.redaction.addFlags(flags)
	flags.BoolVar(&o.strict, "strict", false, "end at the first thing that cannot be read")
	flags.IntVar(&o.workers, "workers", 0, "files read at once; 0 is one for each core; the output is the same")
	flags.StringVar(&o.shard, "shard", "", "convert part i of n, as i/n, for qlora prep merge")
}

// options checks the flags. The function it returns frees the vocabulary.
func (o *logs2sftOptions) options(cmd *cobra.Command) (out chatlog.Options, free func(), err error) {
	free = func() {}
	out = chatlog.Options{
		Sources: o.src, Out: o.out, Summaries: o.summaries, ResultLimit: o.limit, System: o.system,
		Window: o.window, Strict: o.strict, Workers: o.workers, RedactRules: scrub.Rules(),
	}
	if err := o.words(&out); err != nil {
		return out, free, asUsage(cmd, err)
	}
	if err := o.readTools(&out); err != nil {
		return out, free, err
	}
	if o.redact != redactOff {
		if out.Cleaner, out.CleanerID, err = o.scrubber(); err != nil {
			return out, free, prepFailure(err)
		}
	}
	out.DropSecrets = o.redact == redactDrop
	if o.model == "" {
		return out, free, nil
	}
	vocab, err := llama.Load(o.model, llama.LoadOptions{VocabOnly: true})
	if err != nil {
		return out, free, invalidInput(err)
	}
	out.Tokenizer = vocab.Vocab()
	out.TokenizerID = fmt.Sprintf("%s %d", filepath.Base(o.model), vocab.Vocab().Size())
	return out, func() { _ = vocab.Close() }, nil // nothing to do about it, and nothing lost
}

// words reads the flags that are one of several words.
func (o *logs2sftOptions) words(out *chatlog.Options) error {
	var errs [6]error
	out.Format, errs[0] = chatlog.Choose("format", o.format, chatlog.Formats)
	out.Thinking, errs[1] = chatlog.Choose("thinking", o.thinking, chatlog.Thinkings)
	out.ToolArgs, errs[2] = chatlog.Choose("tool-args", o.toolArgs, chatlog.ToolArgss)
	switch o.sidechains {
	case "separate", "true":
		out.Sidechains = true
	case "drop", "false":
	default:
		errs[3] = fmt.Errorf("--sidechains is %q, want drop or separate", o.sidechains)
	}
	switch o.parallel {
	case "keep", "split":
		out.SplitCalls = o.parallel == "split"
	default:
		errs[4] = fmt.Errorf("--parallel-calls is %q, want keep or split", o.parallel)
	}
	out.Shard, errs[5] = shard.Parse(o.shard)
	switch {
	case o.limit < 0 || o.window < 0 || o.workers < 0:
		return errors.New("--tool-result-max, --context and --workers cannot be negative")
	case o.model != "" && o.window == 0:
		return errors.New("--model measures windows: give their size with --context")
	}
	return errors.Join(append(errs[:], o.redaction.check(o.redact))...)
}

func (o *logs2sftOptions) readTools(out *chatlog.Options) error {
	switch o.tools {
	case "observed":
		return nil
	case "none":
		out.NoTools = true
		return nil
	}
	text, err := os.ReadFile(o.tools)
	if err != nil {
		return prepFailure(fmt.Errorf("read tools: %w", err))
	}
	var list []json.RawMessage
	if list, err = chatlog.ParseTools(text); err != nil {
		return ui.Fail(ui.ExitInvalid, fmt.Errorf("%s: %w", o.tools, err),
			`a tool is {"name": ..., "description": ..., "input_schema": {...}}, or {"type": "function", "function": {...}}`)
	}
	out.Tools = list
	return nil
}

// logMemory is the size at which the collector works harder, bytes.
const logMemory = 640 << 20

func joined(list []string) string { return strings.Join(list, "") }

func (o *logs2sftOptions) talk(s *ui.Streams, r *chatlog.Report) {
	s.Infof("read %s, %s, %s\n", english.Plural(r.Files, "file", ""), english.Plural(r.Lines, "line", ""), humanize.IBytes(uint64(r.Bytes)))
	talkTally(s, "files", r.Kinds)
	if r.Others > 0 {
		s.Infof("%s no conversations\n", english.PluralWord(r.Others, "1 other file holds", fmt.Sprintf("%d other files hold", r.Others)))
	}
	talkTally(s, "left out", r.Dropped)
	talkTally(s, "kept as context, without loss", r.Held)
	talkTally(s, "redacted, by rule", r.Redacted)
	if o.window > 0 && o.model == "" {
		s.Infof("window sizes are estimates of %g bytes a token; give --model to measure\n", chatlog.EstimatedBytes)
	}
	s.Printf("%s: %s, %s, %s to train on, %s\n", o.out, english.Plural(r.Conversations, "conversation", ""),
		english.Plural(r.Messages, "message", ""), english.Plural(r.Replies, "reply", ""), english.Plural(r.Calls, "tool call", ""))
}
