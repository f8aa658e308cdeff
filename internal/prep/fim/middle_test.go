package fim

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// What is not worth learning, or can be copied from beside the hole, is no
// middle.
func TestUsable(t *testing.T) {
	const src = "package p\n\nimport \"fmt\"\n\n// Says hello.\nfunc f() {\n\tfmt.Println(\"hello there\")\n\tfmt.Println(\"hello there\")\n\ttotal := compute(1, 2)\n\taa()\n}\n"
	for _, tt := range []struct {
		middle string
		want   bool
	}{
		{"total := compute(1, 2)", true},
		{"\n// Says hello.\nfunc f() {", true},
		{"// Says hello.", false},                      // a comment alone
		{"import \"fmt\"\n\n// Says hello.", false},    // and an import
		{"fmt.Println(\"hello there\")", false},        // stands again on the next line
		{"a", false},                                   // touches its copy
		{"{\n\t", false},                               // no letter
		{"aa()", true},                                 // short, and not beside itself
		{"compute(1, 2)\n\taa()\n}", true},             // to the end
		{src[strings.Index(src, "fmt.P"):][:60], true}, // both lines at once
	} {
		at := strings.Index(src, tt.middle)
		if tt.middle == "a" {
			at = strings.Index(src, "aa()")
		}
		if at < 0 {
			t.Fatalf("%q is not in the text", tt.middle)
		}
		p := &picker{src: []byte(src), lang: "go", limit: 200}
		if got := p.usable(span{at, at + len(tt.middle), KindChar}); got != tt.want {
			t.Errorf("%q: %t", tt.middle, got)
		}
		p.taken = []span{{at, at + 1, KindChar}}
		if p.usable(span{at, at + len(tt.middle), KindChar}) {
			t.Errorf("%q was taken twice", tt.middle)
		}
	}
}

func TestTrivial(t *testing.T) {
	for _, tt := range []struct {
		lang, middle string
		want         bool
	}{
		{"python", "# note\nimport os", true}, {"python", "import os\nx = 1", false}, {"c", "#include <a.h>", true}, {"c", "#define X 1", false},
		{"c", "/* a\n * b\n */", true}, {"markdown", "# Title", false}, {"shell", "# x\n\n", true}, {"rust", "use a::b;", true}, {"sql", "-- x", true},
	} {
		if got := (&picker{lang: tt.lang}).trivial([]byte(tt.middle)); got != tt.want {
			t.Errorf("%s: %q is trivial: %t", tt.lang, tt.middle, got)
		}
	}
}

// A file that holds the middle is not shown, however different the rest is.
func TestContextHoldsNotTheMiddle(t *testing.T) {
	const shared = "\tresult := combine(left, right, options.Default)\n"
	with := func(n int, extra string) string {
		return "package p\n\n" + strings.Replace(body(n), "\treturn", extra+"\treturn", 1)
	}
	o := DefaultOptions()
	dir := tree(t, map[string]string{"a.go": with(1, shared), "b.go": with(2, shared), "c.go": with(3, "")})
	l, err := list(context.Background(), dir, "r", "")
	if err != nil {
		t.Fatal(err)
	}
	var files []*file
	for _, e := range l.entries {
		files = append(files, &file{entry: e, repo: l})
	}
	r := &run{Options: o, repo: l}
	if err := r.look(context.Background(), files); err != nil {
		t.Fatal(err)
	}
	books := newLibrary(files, o)
	for middle, want := range map[string][]string{shared: {"c.go"}, "\tresult := 1": {"c.go", "b.go"}} {
		shown, err := books.around(context.Background(), books.files[books.byPath["a.go"]], []byte(middle), 4000)
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, s := range shown {
			paths = append(paths, s.Path)
		}
		slices.Sort(paths)
		slices.Sort(want)
		if !slices.Equal(paths, want) {
			t.Errorf("middle %q: shows %q, want %q", middle, paths, want)
		}
	}
}
