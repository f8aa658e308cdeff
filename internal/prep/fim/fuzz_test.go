package fim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// FuzzRecords cuts any text of any language; what passes the filters must come
// back whole.
func FuzzRecords(f *testing.F) {
	f.Add("a.go", []byte("package p\n\n"+body(1)), uint64(1), 300)
	f.Add("a.py", []byte("import os\n\n\ndef f(a):\n    return [x for x in a if x]\n\n\ndef g(b):\n    return f(b) + 1\n"), uint64(2), 64)
	f.Add("a.c", []byte("#include <stdio.h>\r\nint main(void) {\r\n\treturn printf(\"%d\", 3);\r\n}\r\n/* the end \xe2\x80\xa8 of it */\r\n"), uint64(3), 100)
	f.Add("a.md", []byte(strings.Repeat("# ä 漢 😀\n\ntext without an end", 5)), uint64(4), 80)
	f.Add("a.js", []byte("const a = require('./b');\nmodule.exports = (x) => { return a(x, [1, 2, 3]); };\nfunction q() { return q }\n"), uint64(5), 4000)
	f.Fuzz(func(t *testing.T, path string, src []byte, seed uint64, size int) {
		if strings.ContainsAny(path, "\x00\n") || strings.HasPrefix(path, "/") || len(path) > 200 || len(src) > 1<<16 {
			return
		}
		o := DefaultOptions()
		o.Seed, o.MaxChars, o.Levels = seed, 64+max(size, -size)%8000, Levels{File: 1}
		o.MaxMiddle = o.MaxChars / 3
		l := &Listing{Repo: "r", reader: memory(src)}
		y := harvestAlone(l, entry{path: path, size: int64(len(src)), regular: true}, o)
		for _, raw := range y.records {
			var r Record
			if err := json.Unmarshal(raw, &r); err != nil {
				t.Fatalf("%v in %s", err, raw)
			}
			if err := checkRecord(r, src, o); err != nil {
				t.Fatalf("%s %q: %v", r.SpanKind, r.Middle, err)
			}
			if sum := sha256.Sum256(src); r.SHA256 != hex.EncodeToString(sum[:]) {
				t.Fatal("hash of another text")
			}
		}
	})
}

// memory is a repository of one file.
type memory []byte

func (m memory) read(context.Context, entry) ([]byte, error) { return m, nil }
func (memory) close() error                                  { return nil }

func harvestAlone(l *Listing, e entry, o Options) *yield {
	f := &file{entry: e, repo: l}
	f.examine(context.Background(), o)
	return harvest(context.Background(), f, nil, o)
}

// FuzzImports: no line of any language wishes for a path outside the
// repository, and each resolves or not without harm.
func FuzzImports(f *testing.F) {
	for lang, line := range map[string]string{
		"go": "import (\n\t\"a/b\"\n)", "python": "from ..a.b import (c, d as e)\nimport x.y", "javascript": "import x from '../../y.js'",
		"c": "#include \"../../../etc/x.h\"\n# include <a/b.h>", "java": "import static a.b.*;", "rust": "use crate::a::{b, c};\nmod d;",
		"ruby": "require_relative \"../../x\"",
	} {
		f.Add(lang, "lib/file", line)
	}
	f.Fuzz(func(t *testing.T, lang, path, src string) {
		other := &file{entry: entry{path: "lib/x.py"}, lang: "python"}
		self := &file{entry: entry{path: path}, lang: lang}
		x := newIndex([]*file{other, self})
		self.imports = findImports(lang, path, []byte(src))
		for _, w := range self.imports {
			if w.path == "" || w.path == "/.." || strings.HasPrefix(w.path, "/../") {
				t.Fatalf("%s in %q wishes for %q", lang, path, w.path)
			}
		}
		for _, i := range x.imported(self) {
			if x.files[i] == self {
				t.Fatal("imports itself")
			}
		}
		x.neighbours(self)
	})
}

// FuzzAllowed: an expression that a list allows is allowed by every longer
// list too.
func FuzzAllowed(f *testing.F) {
	for _, s := range []string{"MIT", "MIT OR (ISC AND Apache-2.0)", "GPL-2.0-only WITH x", "((((", ") OR MIT", "MIT AND", "mit or mit or isc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		if allowed(expression, []string{"MIT"}) && !allowed(expression, []string{"MIT", "ISC", "or", "("}) {
			t.Fatalf("%q is allowed by less", expression)
		}
		if allowed(expression, nil) {
			t.Fatalf("%q is allowed by nothing", expression)
		}
	})
}

// FuzzListing reads lines of .gitattributes, .gitignore and git ls-tree.
func FuzzListing(f *testing.F) {
	f.Add("*.go linguist-generated=false !x -y", "a/b.go")
	f.Add("[attr]m linguist-vendored", "m")
	f.Add("\"a b\" linguist-vendored", "a b")
	f.Add("a/**/b[!x]*\\ ", "a/q/by")
	f.Add("100644 blob 0123456789 12\tpath/of file", "x")
	f.Fuzz(func(t *testing.T, line, path string) {
		rules := readAttributes([]string{"d/.gitattributes"}, func(string) ([]byte, error) { return []byte(line), nil })
		rules.of(path)
		rules.of("d/" + path)
		ig := &ignore{rules: []gitignore.Pattern{gitignore.ParsePattern(line, nil)}}
		ig.match(path, false)
		if e, ok := parseTreeLine(line); ok && e.regular && e.size < 0 {
			t.Fatalf("size %d", e.size)
		}
	})
}
