package split

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writeFile(t *testing.T, path string, lines ...string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

func chat(session string, i int) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":"q%d"},{"role":"assistant","content":"a"}],"session":%q}`, i, session)
}

func fill(path string, i int) string {
	return fmt.Sprintf(`{"prefix":"p%d","suffix":"s","middle":"m","path":%q,"repo":"r"}`, i, path)
}

// randomData makes files of mixed kinds with duplicates, and counts distinct
// records.
func randomData(seed uint64, dir string, t *testing.T) (paths []string, distinct map[string]bool) {
	rng := rand.New(rand.NewPCG(seed, 3))
	distinct = map[string]bool{}
	for f := range 1 + rng.IntN(3) {
		var lines []string
		for range 20 + rng.IntN(200) {
			i := rng.IntN(300)
			switch rng.IntN(3) {
			case 0:
				lines = append(lines, chat(fmt.Sprintf("s%d", i%20), i))
				distinct[fmt.Sprintf("chat %d", i)] = true
			case 1:
				lines = append(lines, fill(fmt.Sprintf("f%d.go", i%30), i))
				distinct[fmt.Sprintf("fim %d", i)] = true
			case 2:
				lines = append(lines, fmt.Sprintf(`{ "text" : "t%d" }`, i))
				distinct[fmt.Sprintf("text %d", i)] = true
			}
		}
		paths = append(paths, writeFile(t, filepath.Join(dir, fmt.Sprintf("in%d.jsonl", f)), lines...))
	}
	return paths, distinct
}

// On random data: every distinct record is on one side, groups are whole, the
// share is near what was asked for in each kind, and the order of the inputs
// changes nothing but the order of the lines.
func TestRandomSplits(t *testing.T) {
	for seed := range uint64(30) {
		dir := t.TempDir()
		paths, distinct := randomData(seed, dir, t)
		o := Options{Inputs: paths, Name: "x", OutDir: filepath.Join(dir, "a"), EvalFrac: 0.2, Seed: seed}
		m, err := Split(context.Background(), o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		train, eval := readLines(t, filepath.Join(o.OutDir, TrainFile)), readLines(t, filepath.Join(o.OutDir, EvalFile))
		if len(train)+len(eval) != len(distinct) || m.Outputs[0].Records != len(train) || m.Outputs[1].Records != len(eval) {
			t.Errorf("seed %d: %d and %d records of %d", seed, len(train), len(eval), len(distinct))
		}
		checkDisjoint(t, seed, train, eval)
		for kind, n := range m.Outputs[1].Kinds {
			all := n + m.Outputs[0].Kinds[kind]
			if share := float64(n) / float64(all); math.Abs(share-0.2) > 0.1 {
				t.Errorf("seed %d: share of %s is %.2f of %d", seed, kind, share, all)
			}
		}
		slices.Reverse(paths)
		o.OutDir = filepath.Join(dir, "b")
		if _, err := Split(context.Background(), o); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		again := readLines(t, filepath.Join(o.OutDir, EvalFile))
		slices.Sort(eval)
		slices.Sort(again)
		if !slices.Equal(eval, again) {
			t.Errorf("seed %d: the order of inputs changed the division", seed)
		}
	}
}

// checkDisjoint reads the records by itself: what makes a group, and what is
// content, must not come from the code under test.
func checkDisjoint(t *testing.T, seed uint64, train, eval []string) {
	t.Helper()
	names := func(line string) (group, content string) {
		var r struct {
			Messages               json.RawMessage
			Session, Repo, Path    string
			Prefix, Suffix, Middle string
			Text                   string
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Session != "" || r.Path != "" {
			group = r.Session + "/" + r.Repo + "/" + r.Path
		}
		return group, fmt.Sprintf("%s %q", r.Messages, []string{r.Prefix, r.Suffix, r.Middle, r.Text})
	}
	seen := map[string]bool{}
	for _, line := range train {
		group, content := names(line)
		seen["group "+group], seen["content "+content] = group != "", true
	}
	for _, line := range eval {
		if group, content := names(line); seen["group "+group] || seen["content "+content] {
			t.Errorf("seed %d: %s is on both sides", seed, line)
		}
	}
}

func data(t *testing.T, dir string) []string {
	t.Helper()
	var chats, fills []string
	for i := range 40 {
		chats = append(chats, chat(fmt.Sprintf("s%d", i/4), i))
		fills = append(fills, fill(fmt.Sprintf("f%d.go", i/2), i))
	}
	return []string{
		writeFile(t, filepath.Join(dir, "chat.jsonl"), chats...),
		writeFile(t, filepath.Join(dir, "fim.jsonl"), fills...),
	}
}

// Running the same command twice over data/*.jsonl gives the same bytes: the
// outputs of the first run are recognised, under their names and others.
func TestOwnOutputsAreRecognised(t *testing.T) {
	dir := t.TempDir()
	data(t, dir)
	o := Options{Inputs: []string{filepath.Join(dir, "*.jsonl")}, Name: "full", OutDir: dir, EvalFrac: 0.15, Seed: 1}
	if _, err := Split(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	first := snapshot(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "old-eval.jsonl"), []byte(first[EvalFile]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"full", "other"} {
		o.Name = name
		m, err := Split(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Inputs) != 2 || len(m.Ignored) != 3 {
			t.Errorf("%d inputs, ignored %v", len(m.Inputs), m.Ignored)
		}
		again := snapshot(t, dir)
		if again[TrainFile] != first[TrainFile] || again[EvalFile] != first[EvalFile] {
			t.Error("the second run gave other output")
		}
	}
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

// What split did not write, or what was changed since, is not replaced.
func TestForeignOutputsAreKept(t *testing.T) {
	dir := t.TempDir()
	o := Options{Inputs: data(t, dir), Name: "full", OutDir: filepath.Join(dir, "out"), EvalFrac: 0.15}
	path := writeFile(t, filepath.Join(o.OutDir, TrainFile), `{"text":"mine"}`)
	var foreign *ForeignError
	if _, err := Split(context.Background(), o); !errors.As(err, &foreign) || foreign.Path != path {
		t.Fatalf("error %v, want ForeignError of %s", err, path)
	}
	if got := readLines(t, path); len(got) != 1 || got[0] != `{"text":"mine"}` {
		t.Errorf("the file holds %q", got)
	}
	o.Force = true
	if _, err := Split(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"text":"added by hand"}` + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	o.Force = false
	if _, err := Split(context.Background(), o); !errors.As(err, &foreign) {
		t.Errorf("a changed output: %v", err)
	}
}

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	o := Options{Inputs: append(data(t, dir), data(t, dir)[0]), Name: "full", OutDir: filepath.Join(dir, "out"), EvalFrac: 0.15, Seed: 9}
	if _, err := Split(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(o.OutDir, "manifest-full.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		t.Fatal(err)
	}
	for _, out := range m.Outputs {
		path := filepath.Join(o.OutDir, out.Path)
		sum, err := hashFile(path)
		if err != nil || sum != out.SHA256 || len(readLines(t, path)) != out.Records {
			t.Errorf("%s does not match the manifest: %+v, %v", path, out, err)
		}
	}
	if len(m.Inputs) != 2 || m.Inputs[0].Records != 40 || m.Inputs[1].Kinds[KindFIM] != 40 || m.Seed != 9 || m.EvalFrac != 0.15 {
		t.Errorf("manifest %+v", m)
	}
	if len(m.Ignored) != 1 || m.Ignored[0].Reason != "given twice" {
		t.Errorf("ignored %v", m.Ignored)
	}
}

func TestBadLines(t *testing.T) {
	dir := t.TempDir()
	in := writeFile(t, filepath.Join(dir, "in.jsonl"),
		"\ufeff"+`{"text":"a"}`, `{"text":`, "", `{"question":"x"}`, `["text"]`, `  {"text":"b"}  `, `{"text":"b","source":"elsewhere"}`, "{\"text\":\"\xff\"}")
	m, err := Split(context.Background(), Options{Inputs: []string{in}, Name: "x", OutDir: dir, EvalFrac: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	var where []int
	for _, p := range m.Problems {
		if p.File != in {
			t.Errorf("problem %v", p)
		}
		where = append(where, p.Line)
	}
	if !slices.Equal(where, []int{2, 4, 5, 8}) || m.Skipped != 4 || m.Dropped[reasonDuplicate] != 1 {
		t.Errorf("problems at %v, skipped %d, dropped %v", where, m.Skipped, m.Dropped)
	}
	got := append(readLines(t, filepath.Join(dir, TrainFile)), readLines(t, filepath.Join(dir, EvalFile))...)
	slices.Sort(got)
	if want := []string{`{"text":"a"}`, `{"text":"b"}`}; !slices.Equal(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	one := writeFile(t, filepath.Join(dir, "one.jsonl"), chat("s", 1), chat("s", 2))
	pair := writeFile(t, filepath.Join(dir, "pair.jsonl"), chat("s", 1), `{"text":"a"}`)
	blank := writeFile(t, filepath.Join(dir, "blank.jsonl"), "", " ")
	for _, tt := range []struct {
		name  string
		paths []string
		want  error
	}{
		{"one group", []string{one}, ErrOneGroup},
		{"one group of each kind", []string{pair}, ErrOneGroup},
		{"nothing", []string{blank}, ErrNothing},
		{"missing", []string{filepath.Join(dir, "no.jsonl")}, os.ErrNotExist},
		{"pattern without match", []string{filepath.Join(dir, "*.json")}, os.ErrNotExist},
	} {
		out := filepath.Join(dir, "out")
		_, err := Split(context.Background(), Options{Inputs: tt.paths, Name: "x", OutDir: out, EvalFrac: 0.5})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if entries, _ := os.ReadDir(out); len(entries) > 0 {
			t.Errorf("%s: left %v", tt.name, entries)
		}
	}
	good := Options{Inputs: []string{one}, Name: "x", OutDir: dir, EvalFrac: 0.5}
	for name, change := range map[string]func(*Options){
		"share 0": func(o *Options) { o.EvalFrac = 0 }, "share 1": func(o *Options) { o.EvalFrac = 1 },
		"share NaN": func(o *Options) { o.EvalFrac = math.NaN() }, "name": func(o *Options) { o.Name = "../x" },
		"no input": func(o *Options) { o.Inputs = nil }, "no folder": func(o *Options) { o.OutDir = "" },
	} {
		o := good
		change(&o)
		if err := o.Check(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	o := Options{Inputs: data(t, dir), Name: "x", OutDir: filepath.Join(dir, "out"), EvalFrac: 0.5}
	ctx, cancel := context.WithCancel(context.Background())
	o.block = 300
	var total, read int64
	o.Total = func(n int64) { total = n }
	o.Progress = func(n int64) {
		if read += n; read > total*3/4 { // in the second pass
			cancel()
		}
	}
	if _, err := Split(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if entries, _ := os.ReadDir(o.OutDir); len(entries) != 0 {
		t.Errorf("left %v", entries)
	}
}

func TestInputThatChanges(t *testing.T) {
	dir := t.TempDir()
	o := Options{Inputs: data(t, dir), Name: "x", OutDir: filepath.Join(dir, "out"), EvalFrac: 0.5}
	var total, read int64
	o.Total = func(n int64) { total = n }
	o.Progress = func(n int64) {
		if read += n; read == total/2 { // between the passes
			writeFile(t, o.Inputs[0], chat("s1", 7777))
		}
	}
	if _, err := Split(context.Background(), o); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("error %v", err)
	}
	if entries, _ := os.ReadDir(o.OutDir); len(entries) != 0 {
		t.Errorf("left %v", entries)
	}
}

// Duplicates are found whatever the spacing, the escapes, the order of keys
// and the record's origin.
func TestContentKey(t *testing.T) {
	a := `{"messages":[{"role":"user","content":"ä"}],"source":"x"}`
	same := `{"session":"s","messages" : [ {"content":" \u00c4\n", "role":"user"} ]}`
	composed := `{"messages":[{"role":"user","content":"a\u0308"}]}`
	other := `{"messages":[{"role":"user","content":"a"}],"source":"x"}`
	key := func(line string) key {
		r, err := parse(line)
		if err != nil {
			t.Fatal(err)
		}
		return new(hasher).content(r)
	}
	if key(a) != key(same) || key(a) != key(composed) {
		t.Error("one conversation has two keys")
	}
	if key(a) == key(other) || key(`{"text":"a"}`) == key(`{"prompt":"a","completion":""}`) {
		t.Error("two records have one key")
	}
	if key(`{"messages":[9007199254740993]}`) == key(`{"messages":[9007199254740992]}`) {
		t.Error("two long numbers have one key")
	}
}
