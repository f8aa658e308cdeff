// Package cli is the command tree: one file per command, each an options
// struct with addFlags and run. It is the only package that knows cobra.
package cli

import (
	"context"
	"os"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/ui"
)

// Main runs the command that args name (without the program's own name) and
// returns the exit code. A first SIGINT, SIGTERM or SIGHUP cancels the command's
// context, so that it finishes its step and saves, which is said where it takes
// a while; a second one makes Main return at once.
func Main(args []string, s *ui.Streams) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, stopSignals()...)
	defer signal.Stop(signals)

	done := make(chan int, 1)
	go func() { done <- execute(ctx, args, s) }()
	return await(done, signals, cancel, s)
}

func execute(ctx context.Context, args []string, s *ui.Streams) int {
	root := newRootCmd(s)
	started := false
	prepare(root, s, &started)

	args, err := rewriteArgs(root, args)
	cmd := root
	if err == nil {
		root.SetArgs(args)
		cmd, err = root.ExecuteContextC(ctx)
	}
	if err == nil {
		return ui.ExitOK
	}
	if !started { // cobra failed before the command ran: flags or arguments
		presetFromArgs(args, s)
		err = asUsage(cmd, inWords(err))
	}
	return report(s, err)
}

// prepare wraps every command: settings that follow from persistent flags are
// applied before it runs, and started tells a command's own failure from one
// of parsing.
func prepare(cmd *cobra.Command, s *ui.Streams, started *bool) {
	for _, sub := range cmd.Commands() {
		prepare(sub, s, started)
	}
	if cmd.HasSubCommands() && !cmd.Runnable() && cmd.HasParent() {
		cmd.RunE = subcommandNeeded
		cmd.Args = cobra.ArbitraryArgs
		return // its only outcome is a usage error
	}
	if cmd.Args != nil {
		cmd.Args = ownWords(cmd.Args)
	}
	run := cmd.RunE
	if run == nil {
		return
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		*started = true
		ctx, err := applyGlobals(cmd, s)
		if err != nil {
			return err
		}
		cmd.SetContext(ctx)
		return run(cmd, args)
	}
}
