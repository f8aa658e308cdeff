package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/ui"
)

// exitMeanings is the one table of exit codes, as help prints it.
var exitMeanings = []struct {
	code int
	text string
}{
	{ui.ExitOK, "done"},
	{ui.ExitFailure, "failure"},
	{ui.ExitUsage, "wrong usage or configuration"},
	{ui.ExitSkipped, "finished, some input was skipped"},
	{ui.ExitInvalid, "a model or data file is missing or invalid"},
	{ui.ExitDevice, "no usable device, or out of memory"},
	{ui.ExitDiverged, "training diverged"},
	{ui.ExitInterrupted, "interrupted; a checkpoint was written where the command keeps them"},
}

// exitStatus is the "Exit status:" section of a command's Long help: the codes
// given, or all of them. 0, 1 and 2 are always part of it.
func exitStatus(codes ...int) string {
	var b strings.Builder
	b.WriteString("\n\nExit status:\n")
	for _, m := range exitMeanings {
		if len(codes) == 0 || m.code <= ui.ExitUsage || contains(codes, m.code) {
			fmt.Fprintf(&b, "  %-3d  %s\n", m.code, m.text)
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

func contains(codes []int, code int) bool {
	for _, c := range codes {
		if c == code {
			return true
		}
	}
	return false
}

// exitCode maps an error to the code of the process.
func exitCode(err error) int {
	var coded *ui.CodedError
	var usage *usageError
	var elsewhere *reported
	switch {
	case errors.As(err, &elsewhere):
		return elsewhere.code
	case err == nil:
		return ui.ExitOK
	case errors.As(err, &coded):
		return coded.Code
	case errors.As(err, &usage):
		return ui.ExitUsage
	case errors.Is(err, context.Canceled):
		return ui.ExitInterrupted
	case errors.Is(err, syscall.ENOMEM), errors.Is(err, ggml.ErrNoMemory), errors.Is(err, llama.ErrNoMemory):
		return ui.ExitDevice
	default:
		return ui.ExitFailure
	}
}

// usageError is a failure to parse flags or arguments; it alone prints usage.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// asUsage marks err as one of usage, for the command that was being parsed.
func asUsage(cmd *cobra.Command, err error) error {
	var usage *usageError
	if errors.As(err, &usage) {
		return err
	}
	return &usageError{cmd: cmd, err: err}
}

// report prints err with its hints and returns the exit code.
func report(s *ui.Streams, err error) int {
	code := exitCode(err)
	if _, elsewhere := err.(*reported); elsewhere {
		return code
	}
	hints := ui.Hints(err)
	if pull := pullHint(err); pull != nil {
		hints = pull // the others speak of files that are here
	}
	if code == ui.ExitSkipped { // the command finished and printed its summary
		s.Warnf("%s", err)
		talkHints(s, hints)
		return code
	}
	var usage *usageError
	if errors.As(err, &usage) && usage.cmd != nil {
		hints = append(append(hints, nearFlags(usage.cmd, err)...), nearCommands(usage.cmd, err)...)
		hints = append(hints, fmt.Sprintf("run '%s --help' for flags and examples", usage.cmd.CommandPath()))
	}
	text := firstLower(strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")) // Go's word for it
	fmt.Fprintf(s.Err, "%s %s\n", s.Paint(ui.Red, "qlora: error:"), text)
	talkHints(s, hints)
	if usage != nil && usage.cmd != nil {
		fmt.Fprintf(s.Err, "usage: %s\n", usage.cmd.UseLine())
	}
	event := errorEvent{Error: text, ExitCode: code, Hints: hints}
	if err := s.Event("error", event); err != nil {
		fmt.Fprintln(s.Err, "qlora: error:", err)
	}
	return code
}

func talkHints(s *ui.Streams, hints []string) {
	for _, hint := range hints {
		fmt.Fprintf(s.Err, "%s %s\n", s.Paint(ui.Cyan, "hint:"), hint)
	}
}

// nearFlags suggests flags that differ from an unknown one by at most two
// letters, or begin with it.
func nearFlags(cmd *cobra.Command, err error) []string {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return nil
	}
	name := missing.GetSpecifiedName()
	var near []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if len(name) > 2 && (config.Distance(f.Name, name) <= 2 || strings.HasPrefix(f.Name, name)) {
			near = append(near, "--"+f.Name)
		}
	})
	if len(near) == 0 {
		return nil
	}
	return []string{"did you mean " + strings.Join(near, " or ") + "?"}
}

type errorEvent struct {
	Error    string   `json:"error"`
	ExitCode int      `json:"exit_code"`
	Hints    []string `json:"hints,omitempty"`
}

// firstLower lowers the first letter of a sentence that a library began with
// a capital, and leaves names such as "GGUF" alone.
func firstLower(text string) string {
	if len(text) > 1 && 'A' <= text[0] && text[0] <= 'Z' && 'a' <= text[1] && text[1] <= 'z' {
		return strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

func unknownTopic(topic string) error {
	return fmt.Errorf("no command %q to show the help of", topic)
}
