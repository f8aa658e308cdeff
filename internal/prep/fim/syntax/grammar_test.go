//go:build cgo

package syntax

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// samples hold each kind of node that their grammar has.
var samples = map[string]string{
	"python":     "class A:\n    def f(self, a):\n        if a > 1:\n            return g(a, [1, 2])\n        return 0\n",
	"c":          "struct s { int a; };\nint f(int a) {\n\tif (a > 1) {\n\t\treturn g(a, 2);\n\t}\n\treturn 0;\n}\n",
	"c++":        "namespace n {\nint f(int a) {\n\tif (a > 1) {\n\t\treturn g(a, 2);\n\t}\n\treturn 0;\n}\n}\n",
	"java":       "class A {\n  int f(int a) {\n    if (a > 1) {\n      return g(a, 2);\n    }\n    return 0;\n  }\n}\n",
	"javascript": "class A {}\nfunction f(a) {\n  if (a > 1) {\n    return g(a, [1, 2]);\n  }\n  return 0;\n}\n",
	"typescript": "interface I { a: number }\nfunction f(a: number): number {\n  if (a > 1) {\n    return g(a, [1, 2]);\n  }\n  return 0;\n}\n",
	"tsx":        "function f(a: number) {\n  if (a > 1) {\n    return <b>{g(a, 2)}</b>;\n  }\n  return 0;\n}\n",
	"rust":       "fn f(a: i32) -> i32 {\n    let b = 2;\n    if a > 1 {\n        return g(a, b);\n    }\n    0\n}\n",
}

// Every grammar finds nodes of all kinds, in good source, and each is a node
// of the tree byte for byte.
func TestGrammars(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(grammars)), slices.Sorted(maps.Keys(samples)); !slices.Equal(got, want) {
		t.Fatalf("grammars %q, samples %q", got, want)
	}
	for lang, src := range samples {
		parsed, err := Parse(lang, []byte(src))
		if err != nil {
			t.Fatalf("%s: %v", lang, err)
		}
		tree := parsed.(*grammarTree)
		found := map[string]string{}
		for offset := range len(src) {
			for _, n := range tree.Around(offset) {
				found[n.Kind] = src[n.Start:n.End]
				exact := tree.tree.RootNode().NamedDescendantForByteRange(uint(n.Start), uint(n.End))
				if int(exact.StartByte()) != n.Start || int(exact.EndByte()) != n.End {
					t.Errorf("%s: %q is no node", lang, src[n.Start:n.End])
				}
			}
		}
		for _, kind := range Kinds {
			if found[kind] == "" {
				t.Errorf("%s: no %s", lang, kind)
			}
		}
		if lang == "python" && found[Function] != "if a > 1:\n            return g(a, [1, 2])\n        return 0" {
			t.Errorf("body of the function: %q", found[Function])
		}
		if arguments := found[Arguments]; !strings.HasPrefix(arguments, "(a, ") || !strings.HasSuffix(arguments, ")") {
			t.Errorf("%s: arguments %q", lang, arguments)
		}
		tree.Close()
		tree.Close()
		if tree.Around(3) != nil {
			t.Errorf("%s: nodes of a closed tree", lang)
		}
	}
}

// Names that a grammar does not know would silently find nothing.
func TestGrammarNames(t *testing.T) {
	for lang, g := range grammars {
		table, ok := load(lang)
		if !ok {
			t.Fatalf("%s does not load", lang)
		}
		for _, name := range append(slices.Sorted(maps.Keys(g.kinds)), slices.Sorted(maps.Keys(g.functions))...) {
			if table.language.IdForNodeKind(name, true) == 0 {
				t.Errorf("the grammar of %s has no %s", lang, name)
			}
		}
	}
}

// Nothing with an error in it counts, and nothing inside an error; the rest of
// the file does.
func TestErrorsAreLeftOut(t *testing.T) {
	src := "int good(void) {\n\treturn f(1);\n}\n\nint bad(void) {\n\treturn g(2;\n\t)) x = = 3;\n}\n\nint last(void) {\n\treturn h(3);\n}\n"
	tree, err := Parse("c", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	good := tree.Around(strings.Index(src, "f(1)"))
	if len(good) < 4 {
		t.Errorf("in the good function: %v", good)
	}
	for _, n := range tree.Around(strings.Index(src, "= 3")) {
		if text := src[n.Start:n.End]; strings.Contains(text, "= =") {
			t.Errorf("node over an error: %q", text)
		}
	}
}
