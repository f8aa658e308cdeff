package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	variableName = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$`)
	oneWord      = regexp.MustCompile(`^[A-Z]{4,}$`) // in files that are about variables
	tensorType   = regexp.MustCompile(`^(I?Q|TQ)\d`)
	readInC      = regexp.MustCompile(`\bgetenv\("([^"]+)"\)`)
)

// readers are the functions of ours that read the variable that they are given.
var readers = []string{"Getenv", "LookupEnv", "Unsetenv", "getenv", "OSEnv", "get", "number", "xdgDir"}

// variablesRead finds the names of environment variables in our sources: what
// is given to a function that reads one, and whatever looks like a name.
func variablesRead(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "../.." && (name[0] == '.' || slices.Contains([]string{"testdata", "hubtest", "recipe", "data", "outputs", "runs", "logs", "bin", "lib", "build", "benchmarks", "docs"}, name)):
			return filepath.SkipDir
		case d.IsDir():
		case strings.HasPrefix(name, "topic_environment"), strings.HasSuffix(name, "_test.go"):
		case strings.HasSuffix(name, ".go"):
			readInGo(t, path, found)
		case slices.Contains([]string{".c", ".h", ".cc", ".cpp", ".cu", ".cuh"}, filepath.Ext(name)):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, m := range readInC.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = path
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// notVariables are words in capitals that belong to file formats.
var notVariables = []string{"CAUSAL_LM"} // PEFT's task_type

func readInGo(t *testing.T, path string, found map[string]string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			text, err := strconv.Unquote(n.Value)
			inEnv := filepath.Base(path) == "env.go" && oneWord.MatchString(text)
			if err == nil && (inEnv || variableName.MatchString(text)) && !tensorType.MatchString(text) && !slices.Contains(notVariables, text) {
				found[text] = path
			}
		case *ast.CallExpr:
			if name, ok := argument(n); ok && strings.ToUpper(name) == name {
				found[name] = path
			}
		}
		return true
	})
}

// argument is the name in a call such as os.Getenv("TERM").
func argument(call *ast.CallExpr) (string, bool) {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	if !slices.Contains(readers, name) || len(call.Args) == 0 {
		return "", false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil && text != ""
}

// TestEnvironmentTopicIsComplete holds the topic to the sources, both ways.
func TestEnvironmentTopicIsComplete(t *testing.T) {
	read := variablesRead(t)
	for _, sure := range []string{"NO_COLOR", "TERM", "PAGER", "HF_TOKEN", "QLORA_LIBRARY_PATH", "QLORA_CUDA_PROFILE", "XDG_CACHE_HOME", "GOMEMLIMIT", "WORLD_SIZE"} {
		if read[sure] == "" {
			t.Errorf("the search of this test does not find %s any more", sure)
		}
	}
	listed := map[string]bool{}
	for _, group := range environment {
		for _, v := range group.vars {
			for _, name := range v.names {
				if listed[name] {
					t.Errorf("%s is listed twice", name)
				}
				listed[name] = true
				if read[name] == "" && !v.elsewhere {
					t.Errorf("%s is listed, but nothing reads it", name)
				}
			}
		}
	}
	for _, name := range trainVars() {
		listed[name] = true
	}
	for name, path := range read {
		if !listed[name] {
			t.Errorf("%s has %s: add it to environment in topic_environment.go", path, name)
		}
	}
	words := strings.FieldsFunc(environmentText(), func(r rune) bool { return r == ' ' || r == ',' || r == '\n' })
	for name := range listed {
		if !slices.Contains(words, name) {
			t.Errorf("%s is not in the text", name)
		}
	}
}

// TestExitCodesTopicIsComplete holds the table and the topic to the constants
// in package ui.
func TestExitCodesTopicIsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../ui/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Exit") {
			return true
		}
		n++
		code, err := strconv.Atoi(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if exitAdvice[code] == "" || !regexp.MustCompile(`(?m)^  `+strconv.Itoa(code)+` +\S`).MatchString(exitCodesText()) {
			t.Errorf("%s = %d is not in the topic exit-codes", spec.Names[0].Name, code)
		}
		return true
	})
	if n != len(exitMeanings) || n != len(exitAdvice) || n < 8 {
		t.Errorf("%d codes in package ui, %d in the table, %d in the topic", n, len(exitMeanings), len(exitAdvice))
	}
}

func TestTopicsReadWell(t *testing.T) {
	for _, topic := range topics {
		text := topic.text()
		if bad := outlandish(text); bad != "" {
			t.Errorf("%s holds %q", topic.name, bad)
		}
		for _, line := range strings.Split(text, "\n") {
			if len(line) > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("%s: %q is longer than 80 or ends in a space", topic.name, line)
			}
		}
		if !strings.HasSuffix(text, "\n") {
			t.Errorf("%s does not end in a line feed", topic.name)
		}
	}
}

func TestWrap(t *testing.T) {
	text := wrap("  ", strings.Repeat("word ", 30)+strings.Repeat("x", 90))
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if len(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("%q", line)
		}
	}
	if words := strings.Fields(text); len(words) != 31 {
		t.Errorf("%d words are left of 31", len(words))
	}
}
