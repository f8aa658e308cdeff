package dataset

import (
	"bytes"
	"strings"
	"testing"
)

// A file may hold several kinds: each record is read as its own keys say, and
// the report names the kinds with their counts.
func TestLoadMixedKinds(t *testing.T) {
	src := write(t, "train.jsonl",
		`{"prefix":"a","suffix":"b","middle":"c"}`,
		twoTurns,
		`{"prefix":"d","suffix":"e","middle":"f"}`,
		`{"text":"g"}`)
	set, report, err := load(t, LoadOptions{Template: testTemplate(t, "smollm2.jinja"), Sources: []Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Samples) != 4 {
		t.Fatalf("%d samples, want 4", len(set.Samples))
	}
	f := report.Files[0]
	if f.Kind != KindMixed || f.Kinds[KindFIM] != 2 || f.Kinds[KindMessages] != 1 || f.Kinds[KindText] != 1 {
		t.Errorf("kind %s of %v", f.Kind, f.Kinds)
	}
	if report.Template == "" {
		t.Error("the chat template of a mixed file is not reported")
	}
	var out bytes.Buffer
	if err := report.Write(&out); err != nil {
		t.Fatal(err)
	}
	if want := "mixed (fim 2, messages 1, text 1)"; !strings.Contains(out.String(), want) {
		t.Errorf("report %q lacks %q", out.String(), want)
	}
	tok := chatFake()
	for i, want := range []string{"a", "", "d", "g"} {
		if text := tok.Decode(set.Samples[i].Tokens); !strings.Contains(text, want) {
			t.Errorf("sample %d is %q", i, text)
		}
	}
}

// A file without a chat needs no template, mixed or not.
func TestLoadMixedWithoutChats(t *testing.T) {
	src := write(t, "train.jsonl", `{"prefix":"a","suffix":"b","middle":"c"}`, `{"text":"g"}`)
	_, report, err := load(t, LoadOptions{Sources: []Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	if report.Template != "" || report.Files[0].Kind != KindMixed {
		t.Errorf("report %+v", report)
	}
}
