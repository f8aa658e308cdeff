package fim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/qlora/qlora/internal/prep/fim/syntax"
)

// tree writes files into a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// convert runs Convert and returns the bytes of the output.
func convert(t *testing.T, o Options) ([]byte, *Report) {
	t.Helper()
	o.Out = filepath.Join(t.TempDir(), "out.jsonl")
	report, err := Convert(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	return data, report
}

func decode[T any](t *testing.T, data []byte) []T {
	t.Helper()
	var out []T
	for line := range bytes.Lines(data) {
		var r T
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// stdlib is a part of the standard library that holds long files, other
// scripts than Latin, CRLF literals and every kind of statement.
func stdlib(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no go command to ask for the standard library: %v", err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	var dirs []string
	for _, name := range []string{"strings", "go/parser", "encoding/json", "unicode/utf8", "net/textproto", "text/template"} {
		dir := filepath.Join(root, filepath.FromSlash(name))
		if _, err := os.Stat(dir); err != nil {
			t.Skipf("the standard library's source is not there: %v", err)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// Every record is a window of its file, byte for byte, of the size asked for;
// its middle is what its kind says.
func TestRecordsAreWindows(t *testing.T) {
	for _, size := range []int{400, 6000} {
		o := DefaultOptions()
		o.Repos, o.MaxChars, o.MaxMiddle, o.Workers = stdlib(t), size, size/3, 2
		data, report := convert(t, o)
		dirs := map[string]string{}
		for _, l := range report.Repos {
			dirs[l.Repo] = l.Dir
		}
		if n := checkRecords(t, data, dirs, o); n < 500 || int64(n) != report.Records {
			t.Fatalf("%d records, report says %d", n, report.Records)
		}
		for _, kind := range append([]string{KindLine, KindRest, KindChar, KindEnd}, goKinds...) {
			if int64(report.Kinds[kind]) < report.Records/200 {
				t.Errorf("size %d: %d of %d records are of kind %s", size, report.Kinds[kind], report.Records, kind)
			}
		}
	}
}

// checkRecords holds every record to its file and returns their number.
func checkRecords(t *testing.T, data []byte, dirs map[string]string, o Options) int {
	t.Helper()
	records := decode[Record](t, data)
	for i, r := range records {
		src, err := os.ReadFile(filepath.Join(dirs[r.Repo], filepath.FromSlash(r.Path)))
		if err != nil {
			t.Fatal(err)
		}
		if err := checkRecord(r, src, o); err != nil {
			t.Fatalf("size %d, record %d (%s/%s at %d, %s): %v", o.MaxChars, i, r.Repo, r.Path, r.Start, r.SpanKind, err)
		}
	}
	return len(records)
}

func checkRecord(r Record, src []byte, o Options) error {
	whole := r.Prefix + r.Middle + r.Suffix
	end := r.Start + len(whole)
	switch {
	case end > len(src) || string(src[r.Start:end]) != whole:
		return errors.New("not the bytes of the file")
	case len(whole) > o.MaxChars || len(r.Middle) > o.MaxMiddle:
		return fmt.Errorf("%d bytes, middle %d", len(whole), len(r.Middle))
	case !utf8.ValidString(r.Prefix) || !utf8.ValidString(r.Middle) || !utf8.ValidString(r.Suffix):
		return errors.New("cut inside a character")
	case strings.TrimSpace(r.Middle) == "":
		return errors.New("blank middle")
	case len(src) <= o.MaxChars && r.Level == LevelFile && len(whole) != len(src):
		return errors.New("the file would fit whole")
	case r.Level == LevelRepo != (len(r.Context) > 0):
		return fmt.Errorf("level %s with %d files", r.Level, len(r.Context))
	}
	return checkKind(r, src)
}

// goKinds are the nodes that Go has.
var goKinds = []string{syntax.Statement, syntax.Block, syntax.Function, syntax.Declaration, syntax.Expression}

func checkKind(r Record, src []byte) error {
	from := r.Start + len(r.Prefix)
	to := from + len(r.Middle)
	atLine := func(i int) bool { return i == 0 || i == len(src) || src[i-1] == '\n' }
	switch r.SpanKind {
	case KindLine:
		if !atLine(from) || to < len(src) && src[to] != '\n' && src[to] != '\r' {
			return errors.New("not whole lines")
		}
	case KindRest:
		if atLine(from) || to < len(src) && src[to] != '\n' && src[to] != '\r' {
			return errors.New("not the rest of a line")
		}
	case KindStart:
		if from != 0 || to < len(src) && src[to] != '\n' && src[to] != '\r' {
			return errors.New("not whole lines from the start")
		}
	case KindEnd:
		if to != len(src) || !atLine(from) {
			return errors.New("not whole lines to the end")
		}
	case KindChar:
	default:
		return checkNode(r, src, from, to)
	}
	return nil
}

// checkNode looks for a node of the kind that is src[from:to].
func checkNode(r Record, src []byte, from, to int) error {
	if r.Lang != "go" {
		return checkGrammarNode(r.Lang, src, from, to)
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", src, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	base := files.File(file.FileStart).Base()
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		if n != nil && int(n.Pos())-base == from && int(n.End())-base == to {
			found = found || fitsKind(n, r.SpanKind)
		}
		return !found
	})
	if !found {
		return errors.New("not a whole node")
	}
	return nil
}

func fitsKind(n ast.Node, kind string) bool {
	switch n.(type) {
	case *ast.BlockStmt:
		return kind == syntax.Block || kind == syntax.Function
	case ast.Stmt:
		return kind == syntax.Statement
	case ast.Decl:
		return kind == syntax.Declaration
	case ast.Expr:
		return kind == syntax.Expression
	}
	return false
}

// One seed gives one output, whatever the number of workers; a file's records
// do not depend on the other files.
func TestDeterminism(t *testing.T) {
	o := DefaultOptions()
	o.Repos = stdlib(t)[:3]
	one, _ := convert(t, o)
	o.Workers = 7
	seven, _ := convert(t, o)
	if !bytes.Equal(one, seven) {
		t.Error("one worker and seven give different output")
	}
	o.Repos = o.Repos[1:2]
	alone, _ := convert(t, o)
	if !bytes.Contains(one, alone) || len(alone) == 0 {
		t.Error("a repository alone gives other records than among others")
	}
	o.Seed++
	if other, _ := convert(t, o); bytes.Equal(other, alone) {
		t.Error("another seed gives the same output")
	}
}

// The ways of choosing are tried in the shares that were asked for.
func TestShares(t *testing.T) {
	for _, tt := range []struct {
		shares string
		check  func(r *Report) bool
	}{
		{"char=1", func(r *Report) bool { return share(r, KindChar) > 0.99 }},
		{"line:1", func(r *Report) bool { return share(r, KindLine, KindRest) > 0.95 && share(r, KindRest) > 0.1 }},
		{"line:1, char:1", func(r *Report) bool { s := share(r, KindChar); return s > 0.4 && s < 0.6 }},
		{"ast:2", func(r *Report) bool { return share(r, goKinds...) > 0.8 && share(r, syntax.Statement) > 0.1 }},
		{"edge:1", func(r *Report) bool { s := share(r, KindStart, KindEnd); return s > 0.05 && s < 0.5 }},
	} {
		o := DefaultOptions()
		o.Repos = stdlib(t)[:3]
		var err error
		if o.Shares, err = ParseShares(tt.shares); err != nil {
			t.Fatal(err)
		}
		if _, report := convert(t, o); !tt.check(report) {
			t.Errorf("shares %s: %v of %d", tt.shares, report.Kinds, report.Records)
		}
	}
	for _, bad := range []string{"", "line", "line=x", "tree=1", "line=-1", "line:0", "line=NaN", "char=Inf"} {
		if s, err := ParseShares(bad); err == nil {
			t.Errorf("ParseShares(%q) = %v", bad, s)
		}
	}
}

// share is the part of the records whose middle is of one of the kinds.
func share(r *Report, kinds ...string) float64 {
	n := 0
	for _, kind := range kinds {
		n += r.Kinds[kind]
	}
	return float64(n) / float64(r.Records)
}

// Text records are the whole files in order.
func TestTextIsWholeFiles(t *testing.T) {
	o := DefaultOptions()
	o.Repos, o.Format, o.MaxChars = stdlib(t)[1:2], FormatText, 3000
	data, report := convert(t, o)
	files := map[string]string{}
	for _, r := range decode[TextRecord](t, data) {
		if len(files[r.Path]) != r.Start || len(r.Text) > 3000 {
			t.Fatalf("%s: piece of %d bytes at %d after %d bytes", r.Path, len(r.Text), r.Start, len(files[r.Path]))
		}
		files[r.Path] += r.Text
	}
	for path, got := range files {
		src, err := os.ReadFile(filepath.Join(o.Repos[0], path))
		if err != nil || string(src) != got {
			t.Errorf("%s: the pieces are not the file (%v)", path, err)
		}
		if formatted, err := format.Source([]byte(got)); err != nil || len(formatted) == 0 {
			t.Errorf("%s: %v", path, err)
		}
	}
	if len(files) != report.Used || report.Used < 4 {
		t.Errorf("%d files, report says %d", len(files), report.Used)
	}
}

// Windows and chunks on random texts, with long lines and wide characters.
func TestWindowProperties(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var b strings.Builder
		for b.Len() < 50+rng.IntN(800) {
			b.WriteString([]string{"a", "ä", "漢", "\n", " ", "😀", strings.Repeat("x", rng.IntN(60)), "\r\n"}[rng.IntN(8)])
		}
		src := []byte(b.String())
		limit := 16 + rng.IntN(300)
		p := &picker{src: src}
		start := p.runeStart(rng.IntN(len(src)))
		s := span{start, p.runeStart(min(len(src), start+rng.IntN(limit/2)+1)), KindChar}
		from, to := window(src, s, limit)
		switch {
		case from > s.start || to < s.end || from < 0 || to > len(src):
			t.Fatalf("seed %d: window %d:%d misses the span %+v", seed, from, to, s)
		case to-from > max(limit, s.end-s.start):
			t.Fatalf("seed %d: window of %d bytes, limit %d", seed, to-from, limit)
		case !utf8.Valid(src[from:s.start]) || !utf8.Valid(src[s.end:to]):
			t.Fatalf("seed %d: window %d:%d cuts a character", seed, from, to)
		}
		at := 0
		for _, c := range chunks(src, limit) {
			if c[0] != at || c[1] <= c[0] || c[1]-c[0] > limit || !utf8.Valid(src[c[0]:c[1]]) {
				t.Fatalf("seed %d: chunk %v after %d, limit %d", seed, c, at, limit)
			}
			at = c[1]
		}
		if at != len(src) {
			t.Fatalf("seed %d: chunks end at %d of %d", seed, at, len(src))
		}
	}
}

// A quarter of what the middle leaves is the suffix's, and what one side cannot
// use goes to the other.
func TestWindowSides(t *testing.T) {
	src := []byte(strings.Repeat("0123456\n", 1000))
	for _, tt := range []struct{ start, before, after int }{
		{4000, 600, 200}, {0, 0, 800}, {80, 80, 720}, {7992, 800, 0}, {7912, 720, 80},
	} {
		from, to := window(src, span{tt.start, tt.start + 8, KindLine}, 808)
		if before, after := tt.start-from, to-tt.start-8; before != tt.before || after != tt.after {
			t.Errorf("span at %d: %d bytes before and %d after, want %d and %d", tt.start, before, after, tt.before, tt.after)
		}
	}
}

func TestBrokenGoFallsBackToLines(t *testing.T) {
	o := DefaultOptions()
	o.Repos = []string{tree(t, map[string]string{"x.go": code + "\nfunc {\n"})}
	o.Shares = Shares{Syntax: 1}
	_, report := convert(t, o)
	if report.Unparsed["go"] != 1 || report.Kinds[KindLine] == 0 || share(report, KindLine, KindRest, KindChar) != 1 {
		t.Errorf("%v unparsed, %v", report.Unparsed, report.Kinds)
	}
}

func TestFailures(t *testing.T) {
	empty := tree(t, map[string]string{"a.bin": "x"})
	out := filepath.Join(t.TempDir(), "out.jsonl")
	run := func(ctx context.Context, change func(*Options)) error {
		o := DefaultOptions()
		o.Repos, o.Out = []string{empty}, out
		change(&o)
		_, err := Convert(ctx, o)
		return err
	}
	if err := run(context.Background(), func(*Options) {}); !errors.Is(err, ErrNothing) {
		t.Errorf("nothing usable: %v", err)
	}
	if err := run(context.Background(), func(o *Options) { o.Repos = []string{"no/such"} }); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing folder: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := run(ctx, func(o *Options) { o.Repos = stdlib(t)[:1] }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for name, change := range map[string]func(*Options){
		"twice":     func(o *Options) { o.Repos = append(o.Repos, empty) },
		"window":    func(o *Options) { o.MaxChars = 10 },
		"middle":    func(o *Options) { o.MaxMiddle = o.MaxChars },
		"language":  func(o *Options) { o.Languages = []string{"klingon"} },
		"format":    func(o *Options) { o.Format = "xml" },
		"workers":   func(o *Options) { o.Workers = 0 },
		"family":    func(o *Options) { o.Family = "qwen" },
		"unknown":   func(o *Options) { o.Format, o.Family = FormatText, "klingon" },
		"tokens":    func(o *Options) { o.MaxTokens = 5 },
		"redact":    func(o *Options) { o.Redact = RedactMask },
		"levels":    func(o *Options) { o.Levels = Levels{} },
		"no folder": func(o *Options) { o.Repos = []string{filepath.Join(empty, "a.bin")} },
	} {
		if err := run(context.Background(), change); err == nil || errors.Is(err, ErrNothing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 0 {
		t.Errorf("failed runs left %v, %v", entries, err)
	}
}
