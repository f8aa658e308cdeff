package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/ui"
)

// argvAliases are spellings of several letters after one dash, llama.cpp's
// habit, which pflag would read as a cluster of one-letter flags: "-ctk" as
// "-c tk". Those that a command lacks are therefore refused by their own name.
var argvAliases = map[string]string{
	"-ngl":  "--n-gpu-layers",
	"-fa":   "--flash-attn",
	"-ub":   "--ubatch-size",
	"-ctk":  "--cache-type-k",
	"-ctv":  "--cache-type-v",
	"-tb":   "--threads-batch",
	"-sm":   "--split-mode",
	"-mg":   "--main-gpu",
	"-ts":   "--tensor-split",
	"-dev":  "--device",
	"-sys":  "--system-prompt",
	"-temp": "--temp",
	"-pg":   "--prompt-gen",
	"-np":   "--parallel",
	"-lr":   "--learning-rate",
	"-wd":   "--weight-decay",
}

// twinFlags are pairs of names for one thing, of which a command has one and
// takes both.
var twinFlags = map[string]string{"out": "output", "output": "out", "ctx-size": "context", "context": "ctx-size"}

// twinOf is the name that cmd has for the flag of that name, which it lacks.
func twinOf(cmd *cobra.Command, name string) (string, bool) {
	twin, ok := twinFlags[strings.ReplaceAll(name, "_", "-")]
	if !ok || cmd.Flags().Lookup(name) != nil {
		return "", false
	}
	f := cmd.Flags().Lookup(twin)
	if f == nil {
		return "", false
	}
	_, words := f.Value.(*enumFlag) // the output of test perf is a format
	return twin, !words
}

// tokenBatchFlags are llama.cpp's batch sizes. They count tokens, so training,
// which counts sequences, refuses them rather than guess.
var tokenBatchFlags = map[string]bool{"-b": true, "-ub": true, "--batch-size": true, "--ubatch-size": true}

// dashes lets every long flag be written with underscores.
func dashes(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}

// rewriteArgs replaces the aliases in args by the flags that they stand for.
// Values of flags, arguments after "--" and unknown words stay as they are.
func rewriteArgs(root *cobra.Command, args []string) ([]string, error) {
	if n := len(args); n > 2 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd) {
		line, err := rewriteArgs(root, args[1:n-1]) // the last word is still being typed
		return append(append([]string{args[0]}, line...), args[n-1]), err
	}
	cmd, _, err := root.Find(args)
	if err != nil {
		return args, nil // cobra reports the unknown command better
	}
	cmd.InheritedFlags() // merges the persistent flags into cmd.Flags
	out := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(out, args[i:]...), nil
		}
		arg, err := rewriteArg(cmd, args[i])
		if err != nil {
			return args, &usageError{cmd: cmd, err: err}
		}
		if i+1 < len(args) && isFlashAttn(arg, args[i+1]) {
			i++
			arg += "=" + args[i]
		}
		if err := refuseFlashWord(cmd, arg, args[i+1:]); err != nil {
			return args, &usageError{cmd: cmd, err: err}
		}
		out = append(out, arg)
		if takesNext(cmd.Flags(), arg) && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out, nil
}

func rewriteArg(cmd *cobra.Command, arg string) (string, error) {
	name, value, hasValue := strings.Cut(arg, "=")
	if cmd.Name() == "train" && tokenBatchFlags[strings.ReplaceAll(name, "_", "-")] {
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("train has no flag %s: llama.cpp's batch sizes count tokens, training counts sequences", name),
			"use --micro-batch-size for sequences per pass and --grad-accum for passes per step")
	}
	if bare, ok := strings.CutPrefix(name, "--"); ok {
		if twin, ok := twinOf(cmd, bare); ok {
			return "--" + twin + strings.TrimPrefix(arg, name), nil
		}
	}
	long, ok := argvAliases[name]
	if !ok {
		return arg, nil
	}
	if cmd.Flags().Lookup(long[2:]) == nil {
		return "", fmt.Errorf("unknown flag: %s (%s has no %s)", name, cmd.CommandPath(), long)
	}
	if hasValue {
		return long + "=" + value, nil
	}
	return long, nil
}

// takesNext tells whether the argument after arg is the value of the flag in
// arg, as pflag will read it.
func takesNext(flags *pflag.FlagSet, arg string) bool {
	switch {
	case strings.HasPrefix(arg, "--"):
		name, _, hasValue := strings.Cut(arg[2:], "=")
		f := flags.Lookup(name)
		return f != nil && f.NoOptDefVal == "" && !hasValue
	case len(arg) > 1 && arg[0] == '-':
		return clusterTakesNext(flags, arg[1:])
	default:
		return false
	}
}

// clusterTakesNext reads one-letter flags up to the first that takes a value:
// the value is the rest of the cluster, or the next argument when none is left.
func clusterTakesNext(flags *pflag.FlagSet, cluster string) bool {
	for i := range len(cluster) {
		if cluster[i] >= 0x80 {
			return false
		}
		f := flags.ShorthandLookup(cluster[i : i+1])
		if f == nil {
			return false
		}
		if f.NoOptDefVal == "" {
			return i == len(cluster)-1
		}
	}
	return false
}

// presetFromArgs finds the flags that shape error output when parsing stopped
// before it reached them.
func presetFromArgs(args []string, s *ui.Streams) {
	for _, arg := range args {
		switch strings.ReplaceAll(arg, "_", "-") {
		case "--":
			return
		case "--json", "--json=true":
			s.JSON = true
		case "--no-color", "--no-color=true":
			s.Color = false
		}
	}
}
