package split

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/prep/shard"
)

// run divides lines with options in a new folder and returns both outputs.
func run(t *testing.T, o Options, lines ...string) (m *Manifest, train, eval []string) {
	t.Helper()
	dir := t.TempDir()
	o.Inputs, o.Name, o.OutDir = []string{writeFile(t, filepath.Join(dir, "in.jsonl"), lines...)}, "x", filepath.Join(dir, "out")
	if o.EvalFrac == 0 {
		o.EvalFrac = 0.3
	}
	m, err := Split(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return m, readLines(t, filepath.Join(o.OutDir, TrainFile)), readLines(t, filepath.Join(o.OutDir, EvalFile))
}

// code is a record of a file with words of its own.
func code(repo, path string, rng *rand.Rand, more string) string {
	text, _ := plant(rng, 40, 1)
	return fmt.Sprintf(`{"prefix":%q,"middle":"m","suffix":"s","repo":%q,"path":%q%s}`, text, repo, path, more)
}

// sides says on which sides lines that hold a mark are.
func sides(mark string, train, eval []string) (inTrain, inEval int) {
	for _, line := range train {
		inTrain += strings.Count(line, mark)
	}
	for _, line := range eval {
		inEval += strings.Count(line, mark)
	}
	return inTrain, inEval
}

func TestGroupBy(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var lines []string
	for r := range 6 {
		for f := range 12 {
			lines = append(lines, code(fmt.Sprintf("repo%d", r), fmt.Sprintf("f%d.go", f), rng, ""))
		}
	}
	for _, by := range []string{GroupAuto, GroupRepo, GroupFile} {
		m, train, eval := run(t, Options{GroupBy: by, Near: 0.7}, lines...)
		torn := 0
		for r := range 6 {
			if a, b := sides(fmt.Sprintf(`"repo%d"`, r), train, eval); a > 0 && b > 0 {
				torn++
			}
		}
		if (torn > 0) != (by == GroupFile) {
			t.Errorf("%s: %d repositories are on both sides", by, torn)
		}
		if want := map[string]string{GroupAuto: GroupRepo}[by]; want != "" && m.GroupBy != want {
			t.Errorf("%s was decided as %s", by, m.GroupBy)
		}
	}
	if m, _, _ := run(t, Options{}, lines[:12]...); m.GroupBy != GroupFile {
		t.Errorf("files of one repository were grouped by %s", m.GroupBy)
	}
}

// Copies of a file, sessions in one list, and groups with near copies stay on
// one side, whatever the seed.
func TestRelatedGroups(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var lines []string
	for i := range 20 {
		lines = append(lines, code("r", fmt.Sprintf("u%d.go", i), rng, ""))
	}
	lines = append(lines, code("r", "a.go", rng, `,"sha256":"77","mark":"copy"`), code("r", "b.go", rng, `,"sha256":"77","mark":"copy"`))
	text, twin := plant(rng, 100, 0.8)
	for i, s := range []string{text, twin} {
		rest, _ := plant(rng, 50, 1)
		lines = append(lines, fmt.Sprintf(`{"text":%q,"session":"t%d","mark":"twin"}`, s, i), fmt.Sprintf(`{"text":%q,"session":"t%d","mark":"twin"}`, rest, i))
	}
	for i := range 2 {
		rest, _ := plant(rng, 50, 1)
		lines = append(lines, fmt.Sprintf(`{"text":%q,"session":"e%d"}`, "same "+text[:200], i), fmt.Sprintf(`{"text":%q,"session":"e%d","mark":"same"}`, rest, i))
	}
	for i, names := range []string{`"p"`, `["q","p"]`, `"q"`} {
		lines = append(lines, fmt.Sprintf(`{"text":"word%d","lineage":%s,"mark":"line"}`, i, names))
	}
	for i := range 10 {
		lines = append(lines, fmt.Sprintf(`{"text":"single%d"}`, i))
	}
	for seed := range uint64(8) {
		_, train, eval := run(t, Options{Seed: seed, Near: 0.7, GroupBy: GroupFile}, lines...)
		for mark, want := range map[string]int{"copy": 2, "twin": 3, "same": 2, "line": 3} {
			if a, b := sides(`"mark":"`+mark+`"`, train, eval); a+b != want || a*b != 0 {
				t.Errorf("seed %d: %s: %d in train, %d in eval, want %d on one side", seed, mark, a, b, want)
			}
		}
	}
}

// Windows of one file or conversation are alike by design: all stay.
func TestNoNearDuplicatesWithinAUnit(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	text, _ := plant(rng, 200, 1)
	var lines []string
	for i := range 10 {
		lines = append(lines, fmt.Sprintf(`{"prefix":%q,"middle":%q,"suffix":%q,"path":"a.go"}`, text[:50*i+20], text[50*i+20:50*i+40], text[50*i+40:]))
		lines = append(lines, code("", fmt.Sprintf("b%d.go", i), rng, ""))
	}
	if m, _, _ := run(t, Options{Near: 0.7}, lines...); len(m.Dropped) != 0 {
		t.Errorf("left out %v", m.Dropped)
	}
	// A shorter copy in another file gives way, and the windows still stay.
	lines = append(lines, fmt.Sprintf(`{"prefix":"","middle":%q,"suffix":"","path":"copy.go"}`, text[:len(text)-40]))
	m, train, eval := run(t, Options{Near: 0.7}, lines...)
	if a, b := sides("copy.go", train, eval); m.Dropped[reasonNear] != 1 || a+b != 0 {
		t.Errorf("with a copy: left out %v", m.Dropped)
	}
}

// A trained record must not show a file that is evaluated.
func TestShownFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	var lines []string
	for i := range 30 {
		more := ""
		if i%2 == 0 {
			more = fmt.Sprintf(`,"context":[{"path":"f%d.go","text":"x"},{"path":"f%d.go","text":"y"}]`, (i+1)%30, (i+7)%30)
		}
		lines = append(lines, code("r", fmt.Sprintf("f%d.go", i), rng, more))
	}
	m, train, eval := run(t, Options{Near: 0.7}, lines...)
	if m.Dropped[reasonShown] == 0 || len(train)+len(eval)+m.Dropped[reasonShown] != 30 || m.Outputs[0].Groups != len(train) {
		t.Errorf("left out %v, %d and %d records, %d groups", m.Dropped, len(train), len(eval), m.Outputs[0].Groups)
	}
	for i := range 30 {
		own, shown := fmt.Sprintf(`"repo":"r","path":"f%d.go"`, i), fmt.Sprintf(`{"path":"f%d.go"`, i)
		_, evaluated := sides(own, train, eval)
		if trained, _ := sides(shown, train, eval); evaluated > 0 && trained > 0 {
			t.Errorf("file %d is evaluated and shown in training", i)
		}
	}
}

func TestLimits(t *testing.T) {
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf(`{"text":"%s"}`, strings.Repeat("é", i+1)))
		lines = append(lines, fmt.Sprintf(`{"prompt":"p%d","completion":"%s"}`, i, strings.Repeat("x", i)))
	}
	m, train, eval := run(t, Options{MinChars: 11, MaxChars: 60}, lines...)
	if m.Dropped[reasonFewChars] != 10+9 || len(train)+len(eval)+m.Dropped.Total() != 200 {
		t.Errorf("characters: left out %v, kept %d", m.Dropped, len(train)+len(eval))
	}
	tokens := func(text string) (int, error) { return len(text) / 4, nil }
	m, _, _ = run(t, Options{MinTokens: 2, MaxTokens: 20, Tokens: tokens}, lines...)
	if m.Dropped[reasonFewTokens] == 0 || m.Dropped[reasonManyToken] == 0 {
		t.Errorf("tokens: left out %v", m.Dropped)
	}
	m, train, eval = run(t, Options{MaxSamples: 50, EvalFrac: 0.2}, lines...)
	if len(train)+len(eval) != 50 || m.Dropped[reasonSurplus] != 150 {
		t.Errorf("--max-samples 50: kept %d and %d, left out %v", len(train), len(eval), m.Dropped)
	}
	for _, out := range m.Outputs {
		if d := out.Kinds[KindText] - out.Kinds[KindPrompt]; d < -1 || d > 1 {
			t.Errorf("--max-samples 50: kinds %v", out.Kinds)
		}
	}
}

func TestDecontaminate(t *testing.T) {
	dir := t.TempDir()
	tasks := writeFile(t, filepath.Join(dir, "tasks.jsonl"), `{"task":"a b c d e f g h i j k","n":1}`, "plain one two three four five six seven eight nine ten")
	m, train, eval := run(t, Options{Avoid: []string{tasks}},
		`{"text":"x A b, c d e f g h i j y"}`, `{"text":"a b c d e f g h i"}`, `{"text":"so One two three four five six seven eight nine ten"}`, `{"text":"other"}`)
	if m.Dropped[reasonAvoided] != 2 || len(train)+len(eval) != 2 {
		t.Errorf("left out %v, kept %q and %q", m.Dropped, train, eval)
	}
	packed := filepath.Join(dir, "tasks.gz")
	if err := os.WriteFile(packed, pack(t, packedGzip, `{"text":"a b c d e f g h i j"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, _, _ := run(t, Options{Avoid: []string{packed}}, `{"text":"a b c d e f g h i j"}`, `{"text":"other"}`, `{"text":"another"}`); m.Dropped[reasonAvoided] != 1 {
		t.Errorf("packed: left out %v", m.Dropped)
	}
}

func TestStrict(t *testing.T) {
	dir := t.TempDir()
	o := Options{Inputs: []string{writeFile(t, filepath.Join(dir, "in.jsonl"), `{"text":"a"}`, `{`, `{"text":"b"}`)}, Name: "x", OutDir: dir, EvalFrac: 0.5, Strict: true}
	if _, err := Split(context.Background(), o); !errors.Is(err, ErrStrict) || !strings.Contains(err.Error(), "in.jsonl:2") {
		t.Errorf("error %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	good := DefaultOptions()
	good.Inputs = []string{"x"}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"near": func(o *Options) { o.Near = 0.3 }, "near 2": func(o *Options) { o.Near = 2 },
		"group": func(o *Options) { o.GroupBy = "x" }, "negative": func(o *Options) { o.MinChars = -1 },
		"crossed": func(o *Options) { o.MinChars, o.MaxChars = 5, 4 }, "tokens": func(o *Options) { o.MaxTokens = 5 },
		"shard": func(o *Options) { o.Shard = shard.Spec{Index: 1, Count: 2} },
	} {
		o := good
		change(&o)
		if o.Check() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// Parts that are missing, of another run, or damaged are refused.
func TestPartsRefused(t *testing.T) {
	dir := t.TempDir()
	o := Options{Inputs: data(t, dir), Name: "x", OutDir: filepath.Join(dir, "out"), EvalFrac: 0.5, Near: 0.7, Parts: filepath.Join(dir, "parts"), block: 500}
	write := func(o Options, i, n int) string {
		o.Shard = shard.Spec{Index: i, Count: n}
		r, err := Part(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r.Path
	}
	refused := func(name string, o Options, want string) {
		t.Helper()
		if _, err := Split(context.Background(), o); !errors.Is(err, ErrParts) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	refused("none", o, "no part")
	first := write(o, 1, 2)
	refused("one of two", o, "part 2 of 2 is missing")
	second := write(o, 2, 2)
	other := o
	other.MinChars = 3
	refused("options", other, "other options")
	other = o
	other.Inputs = o.Inputs[:1]
	refused("inputs", other, "inputs")
	text, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string][]byte{
		"cut": text[:len(text)-1], "cut in a block": text[:len(text)/2], "turned": append(slices.Clone(text[:len(text)-30]), append([]byte{text[len(text)-30] ^ 1}, text[len(text)-29:]...)...),
		"empty": nil, "foreign": []byte("{}\n"),
	} {
		if err := os.WriteFile(second, damage, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(name, o, second)
	}
	if err := os.Remove(second); err != nil {
		t.Fatal(err)
	}
	write(o, 2, 3)
	refused("counts", o, "parts")
	if entries, _ := os.ReadDir(o.OutDir); len(entries) != 0 || first == "" {
		t.Errorf("left %v", entries)
	}
}

// What parts hold of equal records changes only together with partVersion, so
// that those of two builds are not put together.
func TestPartVersion(t *testing.T) {
	const seed, want = 9, "2 4e4b880c589c29bb"
	rng, dir := rand.New(rand.NewPCG(seed, 0)), t.TempDir()
	lines := relatives(t, rng)
	for i := range kinds {
		lines = append(lines, wrap(t, i, "some words that all kinds hold in their own way", i))
	}
	lines = append(lines, `{"a":1}`, "{\"text\":\"\xff\"}", chat("s", 1), fill("p.go", 2), code("r", "p.py", rng, ""))
	o := Options{Inputs: []string{writeFile(t, filepath.Join(dir, "in.jsonl"), lines...)}, Name: "x", EvalFrac: 0.5, Near: 0.7, MaxChars: 4000,
		OutDir: dir, Parts: dir, Shard: shard.Spec{Index: 1, Count: 1}}
	r, err := Part(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	_, blocks, _ := bytes.Cut(text, []byte("\n")) // the header names folders
	sum := sha256.Sum256(blocks)
	if got := fmt.Sprintf("%d %x", partVersion, sum[:8]); got != want {
		t.Errorf("got %q, want %q: if parts hold other things of the same records, raise partVersion; then write the new text here", got, want)
	}
}
