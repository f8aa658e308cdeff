package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/ui"
)

// everyCommand calls check with each command of the tree as a subtest.
func everyCommand(t *testing.T, check func(t *testing.T, cmd *cobra.Command)) {
	t.Helper()
	s, _, _ := ui.Test()
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		t.Run(strings.ReplaceAll(cmd.CommandPath(), " ", "_"), func(t *testing.T) { check(t, cmd) })
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(newRootCmd(s))
}

func TestHelpStyle(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		if cmd.Short == "" || !unicode.IsLower(rune(cmd.Short[0])) && !isAcronym(cmd.Short) {
			t.Errorf("Short must start lower-case: %q", cmd.Short)
		}
		if strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 72 {
			t.Errorf("Short must be a phrase of at most 72 bytes without a full stop: %q", cmd.Short)
		}
		if !strings.Contains(cmd.Long, exitHeading) {
			t.Errorf("Long has no %q section; append exitStatus(...)", exitHeading)
		}
		for line := range strings.Lines(cmd.Long) {
			if len(line) > 101 {
				t.Errorf("Long has a line of %d columns, more than 100: %q", len(line)-1, line)
			}
		}
		for name, text := range map[string]string{"Long": cmd.Long, "Example": cmd.Example, "Short": cmd.Short} {
			if bad := outlandish(text); bad != "" {
				t.Errorf("%s holds %q; help is plain text", name, bad)
			}
		}
		if cmd.Run != nil {
			t.Error("Run cannot return an error; use RunE")
		}
	})
}

func TestEveryCommandHasExamples(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		if !strings.Contains(cmd.Example, "qlora ") {
			t.Fatalf("Example must show a call of qlora: %q", cmd.Example)
		}
		for _, line := range strings.Split(cmd.Example, "\n") {
			if line != "" && !strings.HasPrefix(line, "  ") {
				t.Errorf("indent examples by two spaces: %q", line)
			}
			checkExampleLine(t, cmd.Root(), strings.TrimSpace(line))
		}
	})
}

// TestReadmeCallsWork holds the calls that the documents show to the same rule
// as the examples in help.
func TestReadmeCallsWork(t *testing.T) {
	s, _, _ := ui.Test()
	calls := 0
	for _, path := range []string{"../../README.md", "../../docs/scripting.md", "../../docs/hub.md", "../../docs/install.md", "../../CONTRIBUTING.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		joined := strings.ReplaceAll(string(text), "\\\n", " ")
		for _, line := range strings.Split(joined, "\n") {
			if strings.HasPrefix(line, "    qlora ") {
				calls++
				checkExampleLine(t, newRootCmd(s), strings.TrimSpace(line))
			}
		}
	}
	if calls < 5 {
		t.Errorf("found only %d calls; the documents show more", calls)
	}
}

// checkExampleLine parses an example as the binary would: an example with a
// flag that does not exist is worse than none.
func checkExampleLine(t *testing.T, root *cobra.Command, line string) {
	t.Helper()
	line, continued := strings.CutSuffix(line, `\`)
	call, ok := strings.CutPrefix(line, "qlora ")
	if !ok || continued || strings.ContainsAny(call, "|<>$;") {
		return
	}
	words := splitWords(call)
	cmd, rest, err := root.Find(words)
	if err != nil || cmd == root && len(rest) > 0 && rest[0][0] != '-' {
		t.Errorf("example names no command: %q", line)
		return
	}
	words, err = rewriteArgs(root, words)
	if err != nil {
		t.Errorf("example %q: %v", line, err)
	}
	cmd.InheritedFlags()
	for _, word := range words {
		name, _, _ := strings.Cut(word, "=")
		if long, ok := strings.CutPrefix(name, "--"); ok && long != "" && long != "help" && cmd.Flags().Lookup(long) == nil {
			t.Errorf("example %q: %s has no flag %s", line, cmd.CommandPath(), name)
		}
	}
}

// splitWords splits at spaces outside quotes, and drops a trailing comment.
func splitWords(line string) []string {
	line, _, _ = strings.Cut(line, " # ")
	return regexp.MustCompile(`"[^"]*"|'[^']*'|\S+`).FindAllString(line, -1)
}

func TestFlagStyle(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		inherited := cmd.InheritedFlags()
		if cmd.Flags().Lookup("json") == nil {
			t.Error("no --json")
		}
		short := map[string]string{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Shorthand != "" && short[f.Shorthand] != "" {
				t.Errorf("-%s stands for --%s and --%s", f.Shorthand, short[f.Shorthand], f.Name)
			}
			short[f.Shorthand] = f.Name
		})
		cmd.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if inherited.Lookup(f.Name) != nil {
				t.Errorf("--%s is a flag of every command and must not be redefined", f.Name)
			}
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("--%s: the usage must be a phrase without a full stop: %q", f.Name, f.Usage)
			} else if unicode.IsUpper(rune(f.Usage[0])) && !isAcronym(f.Usage) {
				t.Errorf("--%s: the usage must start lower-case: %q", f.Name, f.Usage)
			}
			if bad := outlandish(f.Usage); bad != "" {
				t.Errorf("--%s: the usage holds %q", f.Name, bad)
			}
		})
	})
}

func TestNamesAreUnique(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command) {
		seen := map[string]bool{}
		for _, sub := range cmd.Commands() {
			for _, name := range append([]string{sub.Name()}, sub.Aliases...) {
				if seen[name] {
					t.Errorf("%s has two commands named %s", cmd.CommandPath(), name)
				}
				seen[name] = true
			}
		}
	})
}

// isAcronym accepts first words such as GGUF, LoRA, AdamW or F32.
func isAcronym(text string) bool {
	word, _, _ := strings.Cut(text, " ")
	return len(word) > 1 && strings.IndexFunc(word[1:], func(r rune) bool { return unicode.IsUpper(r) || unicode.IsDigit(r) }) >= 0
}

// outlandish returns the first character of text outside printable ASCII.
func outlandish(text string) string {
	for _, r := range text {
		if r != '\n' && (r < ' ' || r > '~') {
			return string(r)
		}
	}
	return ""
}

// TestEveryConstructorIsWired finds commands that were written but left out of
// the tree.
func TestEveryConstructorIsWired(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatalf("find the sources of this package: %v", err)
	}
	constructor := regexp.MustCompile(`^new\w*Cmd$`)
	declared, called := map[string]bool{}, map[string]bool{"newRootCmd": true}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				declared[n.Name.Name] = constructor.MatchString(n.Name.Name)
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok {
					called[id.Name] = true
				}
			}
			return true
		})
	}
	for name, isConstructor := range declared {
		if isConstructor && !called[name] {
			t.Errorf("%s is not wired into the command tree (root.go)", name)
		}
	}
}
