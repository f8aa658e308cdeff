package dataset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/ui"
)

// write puts lines into a file of the test and returns it as a source.
func write(t *testing.T, name string, lines ...string) Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return Source{Path: path, Weight: 1}
}

func load(t *testing.T, o LoadOptions) (*Set, *Report, error) {
	t.Helper()
	if o.MaxLength == 0 {
		o.MaxLength = 1024
	}
	return Load(context.Background(), o, chatFake())
}

func TestLoadKeepsOrder(t *testing.T) {
	var lines []string
	for i := range 500 {
		lines = append(lines, fmt.Sprintf(`{"text":%q}`, strings.Repeat("x", 1+i%37)+fmt.Sprint(i)))
	}
	src := write(t, "text.jsonl", lines...)
	set, report, err := load(t, LoadOptions{Sources: []Source{src}, Workers: 7})
	if err != nil {
		t.Fatal(err)
	}
	tok := chatFake()
	for i, s := range set.Samples {
		if s.Train[0] {
			t.Fatalf("sample %d trains a token that nothing precedes", i)
		}
		if s.Line != i+1 || s.File != src.Path || !strings.HasSuffix(tok.Decode(s.Tokens), "x"+fmt.Sprint(i)+"<|endoftext|>") {
			t.Fatalf("sample %d is %s %q", i, s.Where(), tok.Decode(s.Tokens))
		}
	}
	alone, aloneReport, err := load(t, LoadOptions{Sources: []Source{src}, Workers: 1})
	if err != nil || !reflect.DeepEqual(set, alone) || !reflect.DeepEqual(report, aloneReport) {
		t.Error("one worker and seven give different sets")
	}
	if report.Samples != 500 || report.Tokens != set.Tokens() || report.Trained != set.Trained() || report.Trained != report.Tokens-500 {
		t.Errorf("report %+v", report)
	}
}

func TestLoadKinds(t *testing.T) {
	o := LoadOptions{Template: testTemplate(t, "smollm2.jinja"), Sources: []Source{
		write(t, "m.jsonl", twoTurns),
		write(t, "s.jsonl", `{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}`),
		write(t, "f.jsonl", `{"prefix":"a","suffix":"b","middle":"c","text":"ignored"}`),
		write(t, "p.jsonl", `{"prompt":"a","completion":"b"}`),
		write(t, "a.jsonl", `{"instruction":"a","input":"","output":"b"}`),
		write(t, "t.jsonl", "\ufeff"+`{"text":"a"}`, "", "  ", `{"text":"b","messages":null}`),
	}}
	set, report, err := load(t, o)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	for _, f := range report.Files {
		kinds = append(kinds, f.Kind)
	}
	want := []Kind{KindMessages, KindShareGPT, KindFIM, KindCompletion, KindAlpaca, KindText}
	if !reflect.DeepEqual(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
	if n := len(set.Samples); n != 7 || set.Samples[6].Line != 4 || set.Samples[6].Source != 5 {
		t.Errorf("%d samples, the last %+v", n, set.Samples[n-1])
	}
}

// Every kind of bad data stops the load with an exit code and the place.
func TestLoadRefusesBadData(t *testing.T) {
	template := testTemplate(t, "smollm2.jinja")
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"broken line":       {[]string{`{"text":"a"}`, `{"text":"b"`}, "x.jsonl:2: broken JSON"},
		"garbage after":     {[]string{`{"text":"a"} {}`}, "x.jsonl:1: broken JSON"},
		"no object":         {[]string{`[1]`}, "x.jsonl:1: not a JSON object"},
		"not UTF-8":         {[]string{"{\"text\":\"\xff\"}"}, "x.jsonl:1: not valid UTF-8"},
		"unknown kind":      {[]string{`{"question":"a"}`}, "x.jsonl:1: no known kind of record: keys are question"},
		"wrong type":        {[]string{`{"text":1}`}, "x.jsonl:1: text is not a string"},
		"empty text":        {[]string{`{"text":""}`}, "x.jsonl:1: text is empty"},
		"no role":           {[]string{`{"messages":[{"content":"a"}]}`}, "x.jsonl:1: message 1: has no role"},
		"no content":        {[]string{`{"messages":[{"role":"user"}]}`}, "message 1: has neither content nor tool_calls"},
		"image":             {[]string{`{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`}, "type image_url cannot be trained on"},
		"unknown speaker":   {[]string{`{"conversations":[{"from":"alien","value":"a"}]}`}, `turn 1: speaker "alien" is not known`},
		"deep nesting":      {[]string{`{"text":"a","x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`}, "x.jsonl:1: broken JSON"},
		"empty file":        {nil, "x.jsonl holds no records"},
		"blank file":        {[]string{"", " ", "\t"}, "x.jsonl holds no records"},
		"nothing trained":   {[]string{`{"messages":[{"role":"user","content":"a"}]}`}, "no token of the data carries loss"},
		"call without name": {[]string{`{"messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]}`}, "tool call 1: has no name"},
	} {
		src := write(t, "x.jsonl", c.lines...)
		_, _, err := load(t, LoadOptions{Sources: []Source{src}, Template: template})
		var coded *ui.CodedError
		if !errors.As(err, &coded) || coded.Code != ui.ExitInvalid || !strings.Contains(err.Error(), c.want) || len(coded.Hints) == 0 {
			t.Errorf("%s: error %v, want exit %d, a hint and %q", name, err, ui.ExitInvalid, c.want)
		}
	}
	_, _, err := load(t, LoadOptions{Sources: []Source{{Path: "no/such/file.jsonl", Weight: 1}}})
	var coded *ui.CodedError
	if !errors.As(err, &coded) || coded.Code != ui.ExitInvalid || !errors.Is(err, os.ErrNotExist) || len(coded.Hints) == 0 {
		t.Errorf("missing file: %v", err)
	}
}

func TestLoadSkipsInvalid(t *testing.T) {
	src := write(t, "x.jsonl", `{"text":`, `{"text":"a"}`, `{"prompt":"a","completion":1}`, `{"text":"b"}`, `nope`)
	set, report, err := load(t, LoadOptions{Sources: []Source{src}, SkipInvalid: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Samples) != 2 || report.SkippedLines != 3 || report.Files[0].Skipped != 3 {
		t.Errorf("%d samples, report %+v", len(set.Samples), report)
	}
	var lines []int
	for _, s := range report.Skipped {
		lines = append(lines, s.Line)
	}
	if !reflect.DeepEqual(lines, []int{1, 3, 5}) {
		t.Errorf("skipped lines %v", lines)
	}
	src = write(t, "y.jsonl", "nope", "nope")
	if _, _, err := load(t, LoadOptions{Sources: []Source{src}, SkipInvalid: true}); err == nil || !strings.Contains(err.Error(), "none of 2 lines") {
		t.Errorf("nothing but broken lines: %v", err)
	}
	// What the model lacks is no fault of the lines.
	src = write(t, "z.jsonl", twoTurns)
	if _, _, err := load(t, LoadOptions{Sources: []Source{src}, SkipInvalid: true}); !errors.Is(err, errNoTemplate) {
		t.Errorf("without a template: %v", err)
	}
}

func TestLoadStopsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	src := write(t, "x.jsonl", `{"text":"a"}`)
	if _, _, err := Load(ctx, LoadOptions{Sources: []Source{src}, MaxLength: 8}, chatFake()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want a cancelled context", err)
	}
}

func TestReport(t *testing.T) {
	text := write(t, "text.jsonl", `{"text":"0123456789"}`, `broken`)
	text.Weight = 0.5
	chats := write(t, "chats.jsonl", `{"messages":[{"role":"system","content":"S"},{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, `{"messages":[{"role":"user","content":"a"}]}`)
	_, report, err := load(t, LoadOptions{Sources: []Source{text, chats}, MaxLength: 10, OverLength: OverTruncate,
		SkipInvalid: true, Template: testTemplate(t, "smollm2.jinja")})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := report.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"text.jsonl: text, 1 sample, 10 tokens, weight 0.5\n", "samples 1, tokens 10, trained 9 (loss on assistant), masked 10.0 %, longest 10\n",
		"over-length (more than 10 tokens): 3, up to 87 tokens, 2 dropped, 1 truncated, 122 tokens lost\n", "skipped 1 line:\n", "text.jsonl:2: broken JSON",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("report\n%s lacks %q", b.String(), want)
		}
	}
}

func TestPreview(t *testing.T) {
	tok := chatFake()
	set, _, err := load(t, LoadOptions{Template: testTemplate(t, "smollm2.jinja"), Sources: []Source{write(t, "x.jsonl", twoTurns)}})
	if err != nil {
		t.Fatal(err)
	}
	streams, _, _ := ui.Test()
	plain := Preview(&set.Samples[0], tok, streams)
	if !strings.Contains(plain, "<|im_start|>assistant\n[[b<|im_end|>]]\n<|im_start|>user\nc") || !strings.Contains(plain, "4 trained, marked [[so]]") {
		t.Errorf("preview %q", plain)
	}
	streams.Color = true
	if colored := Preview(&set.Samples[0], tok, streams); !strings.Contains(colored, "\x1b[32mb<|im_end|>\x1b[0m") || strings.Contains(colored, "[[") {
		t.Errorf("preview %q", colored)
	}
	long := Sample{Tokens: make([]int32, 5000), Train: make([]bool, 5000), File: "f", Line: 1}
	streams.Color = false
	if got := Preview(&long, tok, streams); !strings.Contains(got, "… 4,200 tokens …") || strings.ContainsRune(got, 0) {
		t.Errorf("long preview of %d bytes", len(got))
	}
}

func TestChooseTemplate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.jinja")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for override, want := range map[string]string{"": "model.gguf", "chatml": "chatml", file: file, "{{ messages }}": "inline"} {
		tpl, err := ChooseTemplate(override, "of the model", "model.gguf", testDay)
		if err != nil || tpl.Source != want {
			t.Errorf("override %q: %+v, %v", override, tpl, err)
		}
	}
	if tpl, err := ChooseTemplate("", "", "model.gguf", testDay); tpl != nil || err != nil {
		t.Errorf("a model without template: %v, %v", tpl, err)
	}
	if _, err := ChooseTemplate("chatmll", "", "m", testDay); err == nil || !strings.Contains(err.Error(), "chatml") {
		t.Errorf("a name that is nothing: %v", err)
	}
	if _, err := ChooseTemplate("", "{% if %}", "broken.gguf", testDay); err == nil || !strings.Contains(err.Error(), "broken.gguf") {
		t.Errorf("a broken template: %v", err)
	}
}

// The built-in templates satisfy what masks ask of a template.
func TestBuiltInTemplatesMask(t *testing.T) {
	for _, name := range TemplateNames() {
		tpl, err := ChooseTemplate(name, "", "", testDay)
		if err != nil {
			t.Fatal(err)
		}
		tok := newFake(append(chatSpecials, "<end_of_turn>", "<start_of_turn>"))
		tok.bos = tok.id("<s>")
		tok.eos = tok.id(map[string]string{"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "mistral": "</s>", "gemma": "<end_of_turn>"}[name])
		got, out, err := buildLine(t, tok, LoadOptions{Template: tpl}, twoTurns)
		if err != nil || out.turns.open != 0 || strings.Count(got[0], "[[") != 2 || !strings.Contains(got[0], "S") {
			t.Errorf("%s: %q, %d open turns, %v", name, got, out.turns.open, err)
		}
	}
}

func TestDatedTemplateIsReported(t *testing.T) {
	tpl, err := NewTemplate("inline", "{% for m in messages %}{{ strftime_now('%d %b %Y') }} {{ m.content }}{% endfor %}", testDay)
	if err != nil {
		t.Fatal(err)
	}
	set, report, err := load(t, LoadOptions{Template: tpl, Loss: LossAll, Sources: []Source{write(t, "x.jsonl", `{"messages":[{"role":"user","content":"a"}]}`)}})
	if err != nil || !report.Dated {
		t.Fatalf("report %+v, %v", report, err)
	}
	if text := chatFake().Decode(set.Samples[0].Tokens); text != "09 Mar 2025 a" {
		t.Errorf("rendered %q", text)
	}
}
