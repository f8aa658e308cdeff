package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/qlora/qlora/"

// order lists the packages under internal from top to bottom. A package may
// import those after it, and sub-packages of its own folder.
var order = []string{
	"cli", "serve", "monitor", "perf", "evaluate", "prep", "train", "engine", "checkpoint", "model", "embedded", "newmodel", "handover", "lora",
	"dataset", "gguf", "runlog", "tfevents", "dist", "gpu", "hub", "config", "ui", "llama", "ggml",
	"bpe", // byte-pair encoding, a leaf
}

// testTools serve tests only and may import anything.
var testTools = []string{"archtest", "testsummary", "abitest"}

// pureGo packages build and test with CGO_ENABLED=0, so that their tests take
// seconds and run under the race detector.
var pureGo = []string{
	"monitor", "prep", "dataset", "train", "checkpoint", "gguf", "lora", "handover", "runlog", "tfevents", "dist", "hub", "config", "ui",
}

// cPackages are the only ones that may say import "C".
var cPackages = []string{"internal/ggml", "internal/ggml/amx", "internal/llama", "benchmarks/perfloop"}

// goFile is one source file: its folder, whether it is a test, its imports.
type goFile struct {
	path, dir string
	test      bool
	imports   []string
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !strings.HasPrefix(f.dir, "internal/") {
			continue
		}
		from := layer(f.dir)
		if slices.Contains(testTools, from) {
			continue
		}
		if !slices.Contains(order, from) {
			t.Errorf("%s: package %s has no place in the import order; add it to order in this test and to docs", f.path, from)
			continue
		}
		for _, imported := range ours(f.imports) {
			to := layer(imported)
			if from != to && slices.Index(order, to) <= slices.Index(order, from) {
				t.Errorf("%s imports %s, which is above it: %s", f.path, imported, strings.Join(order, " > "))
			}
		}
	}
}

func TestOnlyTheBindingsImportC(t *testing.T) {
	for _, f := range sources(t) {
		if slices.Contains(f.imports, "C") && !slices.Contains(cPackages, f.dir) {
			t.Errorf(`%s imports "C"; only %s may`, f.path, strings.Join(cPackages, " and "))
		}
	}
}

func TestPurePackagesReachNoC(t *testing.T) {
	files := sources(t)
	graph := map[string][]string{}
	for _, f := range files {
		if !f.test {
			graph[f.dir] = append(graph[f.dir], ours(f.imports)...)
		}
	}
	for _, f := range files {
		if !strings.HasPrefix(f.dir, "internal/") || !slices.Contains(pureGo, layer(f.dir)) {
			continue
		}
		for _, imported := range ours(f.imports) {
			if chain := pathToC(graph, imported, nil); chain != nil {
				t.Errorf("%s must build with CGO_ENABLED=0, but reaches C: %s", f.path, strings.Join(chain, " -> "))
			}
		}
	}
}

// pathToC returns how dir reaches a package with C in it, or nil.
func pathToC(graph map[string][]string, dir string, seen []string) []string {
	if slices.Contains(cPackages, dir) {
		return []string{dir}
	}
	if slices.Contains(seen, dir) {
		return nil
	}
	for _, next := range graph[dir] {
		if chain := pathToC(graph, next, append(seen, dir)); chain != nil {
			return append([]string{dir}, chain...)
		}
	}
	return nil
}

// layer is the part of a folder that order speaks of: internal/prep/fim -> prep.
func layer(dir string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(dir, "internal/"), "/")
	return name
}

// ours keeps the imports of this module, as folders.
func ours(imports []string) []string {
	var dirs []string
	for _, path := range imports {
		if rest, ok := strings.CutPrefix(path, module); ok {
			dirs = append(dirs, rest)
		}
	}
	return dirs
}

// sources parses the imports of every Go file of the module.
func sources(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	walkSources(t, func(root, path string) {
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		f := goFile{path: rel, dir: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go")}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: %v", rel, err)
			}
			f.imports = append(f.imports, name)
		}
		files = append(files, f)
	})
	if len(files) < 10 {
		t.Fatalf("found only %d Go files: the walk is looking in the wrong place", len(files))
	}
	return files
}

// walkSources calls visit with every .go file of the repository that the go
// tool would look at.
func walkSources(t *testing.T, visit func(root, path string)) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("find the module root: %v", err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && skipDir(d.Name()):
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".go"):
			visit(root, path)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk the module: %v", err)
	}
}

// skipDir leaves out what is not source: hidden folders, test data, and the
// folders a user's own files live in.
func skipDir(name string) bool {
	return name[0] == '.' || name[0] == '_' || slices.Contains([]string{"testdata", "data", "outputs", "runs", "logs", "bin", "lib"}, name)
}
