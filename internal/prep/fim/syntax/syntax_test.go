package syntax

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stdFiles are files of the standard library, every so many.
func stdFiles(t testing.TB, every int) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no go command to ask for the standard library: %v", err)
	}
	all, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "src", "*", "*.go"))
	if err != nil || len(all) < 100 {
		t.Skipf("the standard library's source is not there: %d files, %v", len(all), err)
	}
	var files []string
	for i := 0; i < len(all); i += every {
		files = append(files, all[i])
	}
	return files
}

// Around any byte of Go source, the nodes found are nodes that go/ast has, all
// of those that contain the byte, outermost first.
func TestGoNodes(t *testing.T) {
	for _, path := range stdFiles(t, 40) {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := Parse("go", src)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		want := astNodes(t, src)
		for offset := 0; offset < len(src); offset += 37 {
			got := tree.Around(offset)
			n := 0
			for _, w := range want {
				if w.Start <= offset && offset < w.End {
					n++
				}
			}
			if len(got) != n {
				t.Fatalf("%s at %d: %d nodes, want %d", path, offset, len(got), n)
			}
			for i, g := range got {
				if !slices.Contains(want, Node{Start: g.Start, End: g.End}) || i > 0 && (g.Start < got[i-1].Start || g.End > got[i-1].End) {
					t.Fatalf("%s at %d: %v", path, offset, got)
				}
				if !slices.Contains(Kinds, g.Kind) {
					t.Fatalf("kind %q", g.Kind)
				}
			}
		}
		tree.Close()
	}
}

// astNodes lists the extents of what counts as a node, by a rule of its own.
func astNodes(t *testing.T, src []byte) []Node {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	base := files.File(file.FileStart).Base()
	var all []Node
	ast.Inspect(file, func(n ast.Node) bool {
		keep := false
		switch n := n.(type) {
		case *ast.CaseClause, *ast.CommClause, *ast.LabeledStmt, *ast.EmptyStmt, *ast.DeclStmt:
		case *ast.GenDecl:
			keep = n.Tok != token.IMPORT
		case ast.Stmt, *ast.FuncDecl, *ast.FuncLit, *ast.CallExpr, *ast.BinaryExpr, *ast.CompositeLit:
			keep = n.End() > n.Pos()
		}
		if keep {
			all = append(all, Node{Start: int(n.Pos()) - base, End: int(n.End()) - base})
		}
		return true
	})
	return all
}

func TestParseFails(t *testing.T) {
	if _, err := Parse("go", []byte("package p\nfunc {")); !errors.Is(err, ErrSyntax) {
		t.Errorf("broken Go: %v", err)
	}
	if _, err := Parse("klingon", []byte("x")); !errors.Is(err, ErrNoGrammar) || Known("klingon") || !Known("go") {
		t.Errorf("unknown language: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, lang := range []string{"go", "python", "c", "c++", "java", "javascript", "typescript", "tsx", "rust"} {
		f.Add(lang, []byte("package p\nfunc f() { x(1) }\n"), 20)
		f.Add(lang, []byte("class A { int f(int a) { if (a) { return g(a, 1); } } }"), 30)
		f.Add(lang, []byte("def f(a):\n    return [x for x in a]\n\x00\xff"), 15)
	}
	f.Fuzz(func(t *testing.T, lang string, src []byte, offset int) {
		tree, err := Parse(lang, src)
		if err != nil {
			return
		}
		defer tree.Close()
		if len(src) == 0 {
			return
		}
		offset = ((offset % len(src)) + len(src)) % len(src)
		for _, n := range tree.Around(offset) {
			if n.Start < 0 || n.Start > offset || n.End <= offset || n.End > len(src) {
				t.Fatalf("%s at %d of %d: %v", lang, offset, len(src), n)
			}
		}
	})
}
