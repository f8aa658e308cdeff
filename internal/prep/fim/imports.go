package fim

import (
	"bytes"
	"path"
	"strings"
)

// wish is what a file imports, as a path: from the top of the repository when
// it begins with "/", otherwise the end of one. It has no file name ending
// unless the language writes one. A wish for a folder means the files in it.
type wish struct {
	path   string
	folder bool
}

// importHead is how much of a file is searched for imports, bytes.
const importHead = 16 << 10

// maxWishes bounds what is remembered of one file.
const maxWishes = 64

// findImports lists what a file imports, in the order of the file.
func findImports(lang, file string, src []byte) []wish {
	read := importReaders[lang]
	if read == nil {
		return nil
	}
	var found []wish
	seen := map[wish]bool{}
	r := importReader{dir: path.Dir(file), add: func(w wish) {
		if w.path != "" && !seen[w] && len(found) < maxWishes {
			seen[w] = true
			found = append(found, w)
		}
	}}
	for line := range bytes.Lines(src[:min(len(src), importHead)]) {
		read(&r, strings.TrimSpace(string(line)))
	}
	return found
}

// importReader looks at a file line by line.
type importReader struct {
	dir  string // of the file
	list bool   // inside the parentheses of Go's import
	add  func(wish)
}

var importReaders = map[string]func(*importReader, string){
	"go": (*importReader).goLine, "python": (*importReader).pythonLine,
	"javascript": (*importReader).scriptLine, "typescript": (*importReader).scriptLine, "tsx": (*importReader).scriptLine,
	"c": (*importReader).includeLine, "c++": (*importReader).includeLine, "objective-c": (*importReader).includeLine,
	"cuda": (*importReader).includeLine,
	"java": (*importReader).javaLine, "kotlin": (*importReader).javaLine, "scala": (*importReader).javaLine,
	"rust": (*importReader).rustLine, "ruby": (*importReader).rubyLine,
}

// near is a path relative to the file's folder; it may not leave the
// repository.
func (r *importReader) near(rel string) string {
	joined := path.Join(r.dir, rel)
	if joined == ".." || strings.HasPrefix(joined, "../") {
		return ""
	}
	return path.Join("/", joined)
}

func (r *importReader) goLine(line string) {
	switch {
	case line == "import (":
		r.list = true
	case r.list && strings.HasPrefix(line, ")"):
		r.list = false
	case r.list || strings.HasPrefix(line, "import "):
		if name := quoted(line); name != "" {
			r.add(wish{name, true})
		}
	}
}

// pythonLine reads "import a.b, c" and "from .a import b, c". What is imported
// from a package may be a module of its own.
func (r *importReader) pythonLine(line string) {
	if rest, ok := strings.CutPrefix(line, "import "); ok {
		for _, name := range strings.Split(rest, ",") {
			name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
			r.module(strings.ReplaceAll(name, ".", "/"))
		}
		return
	}
	rest, ok := strings.CutPrefix(line, "from ")
	module, names, ok2 := strings.Cut(rest, " import ")
	if !ok || !ok2 {
		return
	}
	module = strings.TrimSpace(module)
	base := strings.ReplaceAll(strings.TrimLeft(module, "."), ".", "/")
	if dots := len(module) - len(strings.TrimLeft(module, ".")); dots > 0 {
		base = r.near(strings.Repeat("../", dots-1) + base)
	}
	for _, name := range strings.Split(strings.Trim(names, "()\\ "), ",") {
		name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
		if base != "" && name != "" && name != "*" {
			r.add(wish{path: path.Join(base, name)})
		}
	}
	r.module(base)
}

// module wishes for a Python module or package.
func (r *importReader) module(name string) {
	if name != "" {
		r.add(wish{path: name})
		r.add(wish{path: name + "/__init__"})
	}
}

// scriptLine reads ES modules and CommonJS; only relative paths are of the
// repository.
func (r *importReader) scriptLine(line string) {
	for _, mark := range []string{"from ", "require(", "import ", "import("} {
		i := strings.Index(line, mark)
		if i < 0 {
			continue
		}
		name := quoted(line[i+len(mark):])
		if !strings.HasPrefix(name, ".") {
			continue
		}
		if ext := path.Ext(name); ext == ".js" || ext == ".mjs" || ext == ".cjs" || ext == ".jsx" || ext == ".ts" || ext == ".tsx" {
			name = strings.TrimSuffix(name, ext)
		}
		if at := r.near(name); at != "" {
			r.add(wish{path: at})
			r.add(wish{path: path.Join(at, "index")})
		}
		return
	}
}

func (r *importReader) includeLine(line string) {
	rest, ok := strings.CutPrefix(strings.ReplaceAll(line, "# ", "#"), "#include")
	if !ok {
		rest, ok = strings.CutPrefix(line, "#import")
	}
	if !ok {
		return
	}
	rest = strings.TrimSpace(rest)
	if name := quoted(rest); name != "" {
		r.add(wish{path: r.near(name)})
		r.add(wish{path: path.Clean(name)})
	} else if name, _, ok := strings.Cut(strings.TrimPrefix(rest, "<"), ">"); ok && strings.Contains(name, "/") {
		r.add(wish{path: path.Clean(name)})
	}
}

func (r *importReader) javaLine(line string) {
	rest, ok := strings.CutPrefix(line, "import ")
	if !ok {
		return
	}
	rest = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(rest, "static "), ";"))
	name := strings.ReplaceAll(strings.TrimSuffix(rest, ".*"), ".", "/")
	r.add(wish{path: name})
	r.add(wish{path: path.Dir(name)}) // of a static member, the class
}

func (r *importReader) rustLine(line string) {
	line = strings.TrimPrefix(strings.TrimPrefix(line, "pub(crate) "), "pub ")
	if rest, ok := strings.CutPrefix(line, "mod "); ok {
		name := strings.TrimSuffix(rest, ";")
		r.add(wish{path: r.near(name)})
		r.add(wish{path: r.near(name + "/mod")})
	}
	rest, ok := strings.CutPrefix(line, "use crate::")
	if !ok {
		return
	}
	rest, _, _ = strings.Cut(strings.TrimSuffix(rest, ";"), "::{")
	for name := strings.Trim(strings.ReplaceAll(rest, "::", "/"), "/"); name != "." && name != ""; name = path.Dir(name) {
		r.add(wish{path: "src/" + name})
	}
}

func (r *importReader) rubyLine(line string) {
	if rest, ok := strings.CutPrefix(line, "require_relative "); ok {
		r.add(wish{path: r.near(quoted(rest))})
	} else if rest, ok := strings.CutPrefix(line, "require "); ok {
		r.add(wish{path: quoted(rest)})
	}
}

// quoted is the first quoted text of a line, or "".
func quoted(line string) string {
	i := strings.IndexAny(line, "\"'`")
	if i < 0 {
		return ""
	}
	text, _, ok := strings.Cut(line[i+1:], line[i:i+1])
	if !ok {
		return ""
	}
	return text
}
