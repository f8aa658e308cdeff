package show

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rivo/uniseg"

	"github.com/qlora/qlora/internal/dataset"
)

var update = flag.Bool("update", false, "write the golden files anew")

func view(t *testing.T, line string) *View {
	t.Helper()
	r, err := dataset.ReadRecord([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return &View{Picked: Picked{File: "d.jsonl", Line: 3, Index: 2, Data: []byte(line)}, Record: r}
}

// numbered is n lines of text.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "line %d\\n", i+1)
	}
	return b.String()
}

var records = map[string]string{
	"chat": `{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Where are numbers parsed, and why does the parser take so long when a file has a great many of them?"},` +
		`{"role":"assistant","content":"","reasoning_content":"look first","tool_calls":[{"id":"1","type":"function","function":{"name":"Grep","arguments":{"pattern":"parse\tNumber","path":"` + strings.Repeat("x", 400) + `"}}},` +
		`{"id":"2","function":{"name":"Read","arguments":"not JSON"}}],"train":false},` +
		`{"role":"tool","tool_call_id":"1","name":"Grep","content":"` + numbered(40) + `"},` +
		`{"role":"assistant","content":"In scan.go.\n\n\u001b[31mred` + "\ttab" + `\u0007"}],"tools":[{"type":"function","function":{"name":"Grep"}},{"name":"Read"}],"source":"calc","session":"s1"}`,
	"fim":        `{"prefix":"` + numbered(50) + `func f() int {\n\treturn ","middle":"a +\n\t\tb","suffix":" // done\n}\n` + numbered(30) + `","path":"f.go","lang":"go","repo":"r","context":[{"path":"g.go","content":"package g\n"}]}`,
	"fim_edges":  `{"prefix":"","middle":"all\n","suffix":""}`,
	"text":       `{"text":"` + numbered(60) + `end"}`,
	"completion": `{"prompt":"1+1 is","completion":" 2"}`,
	"alpaca":     `{"instruction":"say","input":"b","output":"b"}`,
}

func TestGoldens(t *testing.T) {
	for name, line := range records {
		for suffix, s := range map[string]Style{"": {ASCII: true}, "_60": {Width: 60}, "_color": {Width: 100, Color: true}} {
			path := filepath.Join("testdata", name+suffix+".txt")
			got := Render(view(t, strings.ReplaceAll(line, "\t", `\t`)), s)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs:\n%s", path, got)
			}
			checkOutput(t, path, got, s)
		}
	}
}

var escape = regexp.MustCompile("\x1b\\[[0-9]*m")

// checkOutput finds lines that are too wide, and control characters of the data.
func checkOutput(t *testing.T, name, text string, s Style) {
	t.Helper()
	if s.Color {
		text = escape.ReplaceAllString(text, "")
	}
	for _, line := range strings.Split(text, "\n") {
		if s.Width > 0 && uniseg.StringWidth(line) > s.Width {
			t.Errorf("%s: wider than %d columns: %q", name, s.Width, line)
		}
		for _, r := range line {
			if r < ' ' {
				t.Errorf("%s: control character in %q", name, line)
			}
		}
	}
}

// TestWrapKeepsText wraps random text and puts it together again.
func TestWrapKeepsText(t *testing.T) {
	letters := []string{"a", "b", " ", "  ", "é", "e\u0301", "漢", "字", "👩‍👩‍👧", "-", "word", "x y"}
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 3))
		var b strings.Builder
		for range r.IntN(60) {
			b.WriteString(letters[r.IntN(len(letters))])
		}
		text, width := b.String(), 2+r.IntN(30)
		var again strings.Builder
		for _, piece := range wrap(text, width) {
			if uniseg.StringWidth(piece) > width {
				t.Fatalf("seed %d: %q is wider than %d", seed, piece, width)
			}
			again.WriteString(piece)
		}
		if squeeze(again.String()) != squeeze(text) {
			t.Fatalf("seed %d: %q became %q", seed, text, again.String())
		}
	}
}

func squeeze(text string) string { return strings.ReplaceAll(text, " ", "") }

// TestHoleIsTheMiddle renders random files with a hole, in full, and takes the
// middle out of the marks again.
func TestHoleIsTheMiddle(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 5))
		text := func(least int) string {
			var b strings.Builder
			for range least + r.IntN(12) {
				b.WriteString([]string{"a", "b ", "\n", "x = y", "漢字", " "}[r.IntN(6)])
			}
			return b.String()
		}
		prefix, middle, suffix := text(0), text(1), text(0)
		line := fmt.Sprintf(`{"prefix":%q,"middle":%q,"suffix":%q}`, prefix, middle, suffix)
		out := Render(view(t, line), Style{ASCII: true, Full: true})
		_, out, _ = strings.Cut(out, openMark)
		out, _, _ = strings.Cut(out, closeMark)
		if got := strings.ReplaceAll(out, "\n| ", "\n"); got != middle {
			t.Fatalf("seed %d: between the marks is %q, want %q", seed, got, middle)
		}
	}
}

func TestPaintedHoleIsTheMiddle(t *testing.T) {
	v := view(t, `{"prefix":"one two three four five ","middle":"six seven eight nine ten eleven","suffix":" twelve thirteen"}`)
	out := Render(v, Style{Width: 24, Color: true})
	var green strings.Builder
	for _, m := range regexp.MustCompile("\x1b\\[32m([^\x1b▌]*)\x1b").FindAllStringSubmatch(out, -1) {
		if !strings.HasPrefix(m[1], "hole") {
			green.WriteString(m[1])
		}
	}
	if squeeze(green.String()) != "[[sixseveneightnineteneleven]]" {
		t.Errorf("painted as trained: %q in\n%s", green.String(), out)
	}
}

func TestTrainedTurnsComeFromTheModel(t *testing.T) {
	v := view(t, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"first"},{"role":"user","content":"b"},{"role":"assistant","content":"last"}]}`)
	v.Sequence = &dataset.Sequence{Tokens: make([]int32, 9), Train: make([]bool, 9), Turns: []int{3}}
	out := Render(v, Style{ASCII: true})
	if !strings.Contains(out, "\n| last\n") || !strings.Contains(out, "\n  first\n") || !strings.Contains(out, "9 tokens, 0 trained") {
		t.Errorf("marks do not follow the model:\n%s", out)
	}
}

func TestRuns(t *testing.T) {
	q := &dataset.Sequence{Tokens: []int32{'a', 'b', 'c', 'd'}, Train: []bool{false, true, true, false}}
	decode := func(tokens []int32) string { return string(tokens) }
	runs := Runs(q, decode)
	if fmt.Sprint(runs) != "[{a 1 false} {bc 2 true} {d 1 false}]" {
		t.Errorf("runs %v", runs)
	}
	v := view(t, records["completion"])
	v.Sequence = q
	if out := RenderRaw(v, runs, Style{}); !strings.Contains(out, "\na[[bc]]d\n") {
		t.Errorf("raw:\n%s", out)
	}
}

func TestPick(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "{\"text\":\"%d\"}\n\n", i)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		choice Choice
		want   string
	}{
		{Choice{N: 2}, "1:1 2:3"},
		{Choice{N: 1, Index: 100}, "100:199"},
		{Choice{N: 3, Index: 99}, "99:197 100:199"},
		{Choice{N: 1, Line: 5}, "3:5"},
		{Choice{N: 200, Random: true}, ""},
	} {
		picked, err := Pick(context.Background(), path, c.choice)
		if err != nil {
			t.Errorf("%+v: %v", c.choice, err)
		}
		var got []string
		for _, p := range picked {
			got = append(got, fmt.Sprintf("%d:%d", p.Index, p.Line))
		}
		if c.want != "" && strings.Join(got, " ") != c.want || c.want == "" && len(got) != 100 {
			t.Errorf("%+v: %v, want %s", c.choice, got, c.want)
		}
	}
	for _, c := range []Choice{{N: 1, Index: 101}, {N: 1, Line: 4}, {N: 1, Line: 900}} {
		if _, err := Pick(context.Background(), path, c); !errors.Is(err, ErrNotThere) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestPickAtRandomIsFair counts how often each record is drawn.
func TestPickAtRandomIsFair(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	if err := os.WriteFile(path, []byte(strings.Repeat("{\"text\":\"a\"}\n", 20)), 0o666); err != nil {
		t.Fatal(err)
	}
	var hits [20]int
	const rounds = 4000
	for seed := range int64(rounds) {
		picked, err := Pick(context.Background(), path, Choice{N: 5, Random: true, Seed: seed})
		if err != nil || len(picked) != 5 {
			t.Fatalf("seed %d: %d picked, %v", seed, len(picked), err)
		}
		for i, p := range picked {
			hits[p.Index-1]++
			if i > 0 && p.Line <= picked[i-1].Line {
				t.Fatalf("seed %d: not in file order", seed)
			}
		}
	}
	for i, n := range hits { // 1000 expected, standard deviation 27
		if n < 860 || n > 1140 {
			t.Errorf("record %d was drawn %d times of %d, want about %d", i+1, n, rounds, rounds/4)
		}
	}
}
