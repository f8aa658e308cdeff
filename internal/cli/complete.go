package cli

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/runlog"
)

// completer lists what an argument may be, given what was typed of it. What
// stands before a tab is taken, the rest explains it.
type completer func(typed string) (values []string, more cobra.ShellCompDirective)

// flagCompleters tell the values of flags by their names, in every command.
var flagCompleters = map[string]completer{
	"model":       models,
	"models":      models,
	"merged":      models,
	"base":        models,
	"vocab-from":  models,
	"lora":        adapters,
	"from":        adapters,
	"adapter":     adapters,
	"data":        dataFiles,
	"eval-data":   dataFiles,
	"config":      filesEnding(".yaml", ".yml"),
	"resume":      checkpoints,
	"device":      oneOf("auto", "cpu", "cuda", "cuda:0", "cuda:1"),
	"precision":   oneOf("auto", "bf16", "f16", "f32"),
	"method":      oneOf("qlora", "full"),
	"recompute":   oneOf("auto", "none", "block"),
	"schedule":    oneOf("constant", "linear", "cosine", "wsd"),
	"loss":        oneOf("assistant", "completion", "all"),
	"over-length": oneOf("truncate", "drop", "split", "error"),
	"target":      oneOf("all", "attn", "mlp"),
	"runs-dir":    folders,
}

// ownCompleters are those of flags that mean something else in other commands.
var ownCompleters = map[string]completer{
	"qlora train --name": runNames,
}

// argCompleters tell the arguments of commands by their paths.
var argCompleters = map[string]completer{
	"qlora inspect":    models,
	"qlora export":     adapters,
	"qlora import":     folders,
	"qlora logs":       runNames,
	"qlora prep show":  dataFiles,
	"qlora prep split": dataFiles,
	"qlora prep stats": dataFiles,
	"qlora prep merge": dataFiles,
	"qlora prep scrub": dataFiles,
}

// addCompletions gives every command of the tree its completions. A flag that
// has its own already keeps it.
func addCompletions(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		addCompletions(sub)
	}
	if c, ok := argCompleters[cmd.CommandPath()]; ok && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = c.asCobra
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		c, ok := flagCompleters[f.Name]
		if own, is := ownCompleters[cmd.CommandPath()+" --"+f.Name]; is {
			c, ok = own, true
		}
		if enum, isEnum := f.Value.(*enumFlag); isEnum {
			c, ok = oneOf(enum.allowed...), true
		}
		if ok {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, c.asCobra) // fails where the flag has one already
		}
	})
}

func (c completer) asCobra(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	values, more := c(typed)
	return values, more | cobra.ShellCompDirectiveNoFileComp
}

func oneOf(values ...string) completer {
	return func(typed string) ([]string, cobra.ShellCompDirective) {
		var fit []string
		for _, v := range values {
			if strings.HasPrefix(v, strings.ToLower(typed)) {
				fit = append(fit, v)
			}
		}
		return fit, cobra.ShellCompDirectiveKeepOrder
	}
}

// models are GGUF files: those of data/models first, then what was typed of a
// path.
func models(typed string) ([]string, cobra.ShellCompDirective) {
	return known(typed, []string{"data/models/*.gguf"}, ".gguf")
}

// adapters are those of finished and of running trainings, then any GGUF file.
// Several are separated by commas.
func adapters(typed string) ([]string, cobra.ShellCompDirective) {
	return known(typed, []string{"outputs/*/adapter*.gguf", "outputs/*/checkpoint-*/adapter.gguf"}, ".gguf")
}

func dataFiles(typed string) ([]string, cobra.ShellCompDirective) {
	return known(typed, []string{"data/*.jsonl"}, ".jsonl", ".jsonl.zst", ".jsonl.gz")
}

func filesEnding(endings ...string) completer {
	return func(typed string) ([]string, cobra.ShellCompDirective) { return known(typed, nil, endings...) }
}

func folders(typed string) ([]string, cobra.ShellCompDirective) { return known(typed, nil) }

// known completes the last of several names between commas: files that match
// patterns, folders, and files with one of the endings.
func known(typed string, patterns []string, endings ...string) ([]string, cobra.ShellCompDirective) {
	before, last := "", typed
	if comma := strings.LastIndexByte(typed, ','); comma >= 0 {
		before, last = typed[:comma+1], typed[comma+1:]
	}
	var found []string
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern) // ours, and never malformed
		for _, path := range paths {
			if strings.HasPrefix(path, last) {
				found = append(found, path)
			}
		}
	}
	more := cobra.ShellCompDirectiveDefault
	for _, path := range inFolder(last, endings) {
		if strings.HasSuffix(path, "/") {
			more = cobra.ShellCompDirectiveNoSpace // the path goes on
		}
		if !slices.Contains(found, path) {
			found = append(found, path)
		}
	}
	for i := range found {
		found[i] = before + found[i]
	}
	return found, more
}

// inFolder lists the folders, with a slash behind, and the files with one of
// the endings whose path begins with typed. Hidden ones have to be asked for.
func inFolder(typed string, endings []string) []string {
	dir, name := filepath.Split(typed)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil // what was typed leads nowhere
	}
	var found []string
	for _, e := range entries {
		switch {
		case !strings.HasPrefix(e.Name(), name), e.Name()[0] == '.' && name == "":
		case isFolder(filepath.Join(dir, e.Name())):
			found = append(found, dir+e.Name()+"/")
		case slices.ContainsFunc(endings, func(end string) bool { return strings.HasSuffix(e.Name(), end) }):
			found = append(found, dir+e.Name())
		}
	}
	return found
}

// runNames are the runs in the folder runs, newest first, with their state.
func runNames(typed string) ([]string, cobra.ShellCompDirective) {
	dirs, err := runlog.List("runs")
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, dir := range dirs {
		name := filepath.Base(dir)
		if !strings.HasPrefix(name, typed) {
			continue
		}
		if status, err := runlog.ReadStatus(dir); err == nil {
			name = cobra.CompletionWithDesc(name, string(status.State))
		}
		names = append(names, name)
	}
	return names, cobra.ShellCompDirectiveKeepOrder
}

// checkpoints is what train --resume takes: words, or the folder of a checkpoint.
func checkpoints(typed string) ([]string, cobra.ShellCompDirective) {
	words, _ := oneOf("last", "best")(typed)
	paths, more := known(typed, []string{"outputs/*/checkpoint-*"})
	return append(words, paths...), more
}
