package cli

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ui"
)

// cobraCount begins what cobra says of too few and too many arguments.
var cobraCount = regexp.MustCompile(`^(accepts|requires at least|unknown command) `)

// ownWords has the errors of a check of cobra's name what is missing or left over.
func ownWords(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil || !cobraCount.MatchString(err.Error()) {
			return err
		}
		for most := len(args) - 1; most >= 0; most-- {
			if check(cmd, args[:most]) == nil {
				return tooMany(cmd, args, most)
			}
		}
		what := strings.Fields(cmd.Use)[1] // commands that need an argument name it first
		return fmt.Errorf("%s needs an argument: %s", cmd.CommandPath(), what)
	}
}

func tooMany(cmd *cobra.Command, args []string, most int) error {
	extra := args[most]
	if most == 0 {
		err := fmt.Errorf("%s takes no arguments, and %q is one", cmd.CommandPath(), extra)
		return ui.Fail(ui.ExitUsage, err, flagsFor(cmd, extra)...)
	}
	err := fmt.Errorf("%s takes one argument, and %q is another", cmd.CommandPath(), extra)
	var hints []string
	if strings.Contains(cmd.Use, "<prompt>") {
		hints = append(hints, fmt.Sprintf("put a prompt of several words into quotes: %q", strings.Join(args, " ")))
	}
	return ui.Fail(ui.ExitUsage, err, append(hints, flashHint(cmd)...)...)
}

// flagsFor are hints at the flag that an argument may have been meant for.
func flagsFor(cmd *cobra.Command, arg string) []string {
	flags := map[string]string{".gguf": "model", ".jsonl": "data"}
	f := cmd.Flags().Lookup(flags[filepath.Ext(arg)])
	switch {
	case f == nil:
		return flashHint(cmd)
	case f.Shorthand != "":
		return []string{fmt.Sprintf("name the %s with -%s %s", f.Name, f.Shorthand, arg)}
	default:
		return []string{fmt.Sprintf("name the %s with --%s %s", f.Name, f.Name, arg)}
	}
}

// flashHint is for a word after -fa that is none of its values, and so became
// an argument.
func flashHint(cmd *cobra.Command) []string {
	if f := cmd.Flags().Lookup("flash-attn"); f == nil || !f.Changed {
		return nil
	}
	return []string{"the values of --flash-attn (-fa) are on, off, auto"}
}

var unknownCommand = regexp.MustCompile(`^unknown command "([^"]*)"`)

// nearCommands are the subcommands that may have been meant, the nearest first.
func nearCommands(cmd *cobra.Command, err error) []string {
	m := unknownCommand.FindStringSubmatch(err.Error())
	if m == nil {
		return nil
	}
	return didYouMean(cmd, m[1])
}

// didYouMean is a hint at subcommands that differ from name by at most two
// letters, or begin with it.
func didYouMean(cmd *cobra.Command, name string) []string {
	var near []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && (config.Distance(sub.Name(), name) <= 2 || strings.HasPrefix(sub.Name(), name)) {
			near = append(near, sub.Name())
		}
	}
	if len(near) == 0 {
		return nil
	}
	slices.SortStableFunc(near, func(a, b string) int { return config.Distance(a, name) - config.Distance(b, name) })
	return []string{"did you mean " + strings.Join(near, " or ") + "?"}
}

// subcommandNeeded is what a command that only groups others does by itself.
func subcommandNeeded(cmd *cobra.Command, args []string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	list := strings.Join(names, ", ")
	if len(args) == 0 {
		return fmt.Errorf("%s needs a subcommand: %s", cmd.CommandPath(), list)
	}
	err := fmt.Errorf("unknown subcommand %q of %s: choose one of %s", args[0], cmd.CommandPath(), list)
	return ui.Fail(ui.ExitUsage, err, didYouMean(cmd, args[0])...)
}
