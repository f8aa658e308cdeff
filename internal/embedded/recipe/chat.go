package recipe

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"io"
	"path"
	"slices"
	"strings"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Chat is a conversation.
type Chat struct {
	Messages []Message `json:"messages"`
}

// maxAnswer is the longest answer made of a doc comment, in bytes.
const maxAnswer = 500

// Chats turns the doc comments of the training files into questions and answers
// about exported names, in path order. Held-out files take no part.
func Chats(files []File) ([]Chat, error) {
	var chats []Chat
	for _, dir := range directories(files) {
		if strings.Contains(dir.name, "internal") {
			continue
		}
		made, err := packageChats(dir)
		if err != nil {
			return nil, err
		}
		chats = append(chats, made...)
	}
	return chats, nil
}

// directory is one package's training files without examples.
type directory struct {
	name  string
	files []File
}

func directories(files []File) (dirs []directory) {
	target := linux(files)
	for _, f := range files {
		if f.HeldOut || strings.HasSuffix(f.Path, "_test.go") || !target(f) {
			continue
		}
		name := path.Dir(f.Path)
		if len(dirs) == 0 || dirs[len(dirs)-1].name != name {
			dirs = append(dirs, directory{name: name})
		}
		last := &dirs[len(dirs)-1]
		last.files = append(last.files, f)
	}
	slices.SortStableFunc(dirs, func(a, b directory) int { return strings.Compare(a.name, b.name) })
	return dirs
}

// linux tells the files that a build for Linux on amd64 takes. Without it go/doc
// would see several declarations of one function, and keep any of them.
func linux(files []File) func(File) bool {
	texts := make(map[string]string, len(files))
	for _, f := range files {
		texts[f.Path] = f.Text
	}
	c := build.Default
	c.GOOS, c.GOARCH, c.Compiler, c.CgoEnabled, c.BuildTags, c.ToolTags = "linux", "amd64", "gc", true, nil, nil
	c.JoinPath = path.Join
	c.OpenFile = func(name string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(texts[name])), nil
	}
	return func(f File) bool {
		ok, err := c.MatchFile(path.Split(f.Path))
		return ok && err == nil
	}
}

func packageChats(d directory) ([]Chat, error) {
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, f := range d.files {
		file, err := parser.ParseFile(fset, f.Path, f.Text, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", f.Path, err)
		}
		parsed = append(parsed, file)
	}
	pkg, err := doc.NewFromFiles(fset, parsed, d.name)
	if err != nil {
		return nil, fmt.Errorf("read the documentation of %s: %w", d.name, err)
	}
	q := &questions{fset: fset, pkg: pkg}
	q.ask()
	return q.chats, nil
}

// questions gathers the conversations about one package.
type questions struct {
	fset  *token.FileSet
	pkg   *doc.Package
	chats []Chat
	asked map[string]bool
}

func (q *questions) ask() {
	q.asked = make(map[string]bool)
	if q.pkg.Doc != "" {
		q.add("What is package "+q.pkg.ImportPath+" for?", q.prose(q.pkg.Doc))
	}
	for _, f := range q.pkg.Funcs {
		q.function(q.pkg.Name+"."+f.Name, f)
	}
	for _, t := range q.pkg.Types {
		q.add("What is "+q.pkg.Name+"."+t.Name+"?", q.prose(t.Doc))
		for _, f := range t.Funcs {
			q.function(q.pkg.Name+"."+f.Name, f)
		}
		for _, f := range t.Methods {
			q.function(q.pkg.Name+"."+t.Name+"."+f.Name, f)
		}
	}
}

// function asks what a function does or how it is declared.
func (q *questions) function(name string, f *doc.Func) {
	q.add("What does "+name+" do?", q.prose(f.Doc))
	if hash("signature", name)%4 == 0 {
		q.add("How is "+name+" declared?", "```go\n"+q.signature(f.Decl)+"\n```")
	}
}

func (q *questions) add(question, answer string) {
	if answer == "" || len(answer) > maxAnswer || q.asked[question] {
		return
	}
	q.asked[question] = true
	q.chats = append(q.chats, Chat{Messages: []Message{{"user", question}, {"assistant", answer}}})
}

// prose is the first paragraph of a doc comment, on one line.
func (q *questions) prose(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

// signature prints a function's declaration without its body and comment.
func (q *questions) signature(decl *ast.FuncDecl) string {
	bare := *decl
	bare.Body, bare.Doc = nil, nil
	var b bytes.Buffer
	if err := printer.Fprint(&b, q.fset, &bare); err != nil {
		return ""
	}
	return b.String()
}
