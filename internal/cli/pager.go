package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/qlora/qlora/internal/ui"
)

// pagerCommand is the command line that shows long output: $PAGER, or less
// where it is installed, or none. PAGER=cat and an empty PAGER are none.
func pagerCommand(getenv func(string) (string, bool), look func(string) (string, error)) string {
	if command, set := getenv("PAGER"); set {
		if command = strings.TrimSpace(command); command == "cat" {
			return ""
		}
		return command
	}
	if _, err := look("less"); err != nil {
		return ""
	}
	return "less -R"
}

// page calls write with standard output or, where that is a terminal, with the
// input of a pager. A reader who quits the pager before the end is done, not
// in error.
func page(ctx context.Context, s *ui.Streams, write func(io.Writer) error) error {
	command := ""
	if s.OutTTY && !s.Dumb && !s.JSON {
		command = pagerCommand(os.LookupEnv, exec.LookPath)
	}
	if command == "" {
		return write(s.Out)
	}
	words := pagerWords(command)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // less then resets the terminal
	cmd.Stdout, cmd.Stderr = s.Out, s.Err
	cmd.Env = os.Environ()
	if _, set := os.LookupEnv("LESS"); !set {
		cmd.Env = append(cmd.Env, "LESS=FRX") // ends by itself when all fits on the screen
	}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("start pager %q: %w", command, err)
	}
	if err := cmd.Start(); err != nil {
		return ui.Fail(ui.ExitFailure, fmt.Errorf("start pager %q: %w", command, err), "set PAGER to another one, or to cat")
	}
	failed := write(pipe)
	if quit(failed) {
		failed = nil
	}
	if err := pipe.Close(); failed == nil && !quit(err) {
		failed = err
	}
	return errors.Join(failed, pagerEnd(ctx, command, cmd.Wait()))
}

// pagerWords are the words of a plain command. One that needs a shell gets it;
// the others do without, so that a signal reaches the pager itself.
func pagerWords(command string) []string {
	if strings.ContainsAny(command, "|&;<>()$`\\\"'*?[]#~=%{}\n") {
		return []string{"sh", "-c", command}
	}
	return strings.Fields(command)
}

// quit is writing to a pager that has ended.
func quit(err error) bool { return errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) }

// pagerEnd tells a pager that could not be run from one that ended: its own
// exit status is no concern of ours otherwise.
func pagerEnd(ctx context.Context, command string, err error) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit) && (exit.ExitCode() == 126 || exit.ExitCode() == 127):
		return ui.Fail(ui.ExitFailure, fmt.Errorf("pager %q cannot be run", command), "set PAGER to another one, or to cat")
	case errors.As(err, &exit):
		return nil
	}
	return err
}
