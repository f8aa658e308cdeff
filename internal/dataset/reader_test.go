package dataset

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReaderSeesWhatLoadSees compares the sequences of single records with the
// samples that Load makes of the same lines.
func TestReaderSeesWhatLoadSees(t *testing.T) {
	tokenizer := chatFake()
	template, err := ChooseTemplate("chatml", "", "", testDay)
	if err != nil {
		t.Fatal(err)
	}
	for _, loss := range []Loss{LossAssistant, LossAll, LossCompletion} {
		o := LoadOptions{Template: template, Loss: loss, MaxLength: 1 << 20}
		reader, err := NewReader(o, tokenizer)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"messages.jsonl", "others.jsonl"} {
			path := filepath.Join("testdata", "records", name)
			o.Sources = []Source{{Path: path, Weight: 1}}
			o.SkipInvalid = true
			set, report, err := Load(context.Background(), o, tokenizer)
			if err != nil {
				t.Fatal(err)
			}
			compareWithLoad(t, reader, path, set, report)
		}
	}
}

func compareWithLoad(t *testing.T, reader *Reader, path string, set *Set, report *Report) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	open, lost := 0, 0
	for _, line := range lines {
		r, err := ReadRecord([]byte(line))
		if err != nil {
			continue
		}
		if q, err := reader.Encode(r); err == nil {
			open += q.OpenTurns
			lost += q.LostCalls
		}
	}
	if len(set.Samples) == 0 || open != report.OpenTurns || lost != report.LostCalls {
		t.Errorf("%s: %d samples, %d open turns and %d without calls, Load has %d and %d",
			path, len(set.Samples), open, lost, report.OpenTurns, report.LostCalls)
	}
	for i := range set.Samples {
		s := &set.Samples[i]
		r, err := ReadRecord([]byte(lines[s.Line-1]))
		if err != nil {
			t.Fatalf("%s: %v", s.Where(), err)
		}
		q, err := reader.Encode(r)
		if err != nil {
			t.Fatalf("%s: %v", s.Where(), err)
		}
		if !slices.Equal(q.Tokens, s.Tokens) || !slices.Equal(q.Train, s.Train) || q.Trained() != s.Trained() {
			t.Errorf("%s: the reader and Load differ", s.Where())
		}
	}
}

func readRecord(t *testing.T, line string) *Record {
	t.Helper()
	r, err := ReadRecord([]byte(line))
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}

func TestRecordMessages(t *testing.T) {
	r := readRecord(t, `{"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"b\":1,\"a\":[2]}}"},{"from":"observation","value":"r"},{"from":"gpt","value":"a"}],"tools":"[{\"name\":\"f\"}]","source":"s"}`)
	m := r.Messages()
	if len(m) != 4 || m[0].Role != "user" || m[2].Role != "tool" || m[3].Content != "a" {
		t.Fatalf("messages %+v", m)
	}
	if len(m[1].Calls) != 1 || m[1].Calls[0] != (Call{"f", `{"b": 1, "a": [2]}`}) {
		t.Errorf("calls %+v", m[1].Calls)
	}
	if !slices.Equal(r.Tools(), []string{"f"}) || r.Field("source") != "s" || r.Field("tools") == "" || r.Field("none") != "" {
		t.Errorf("tools %v, source %q", r.Tools(), r.Field("source"))
	}
	if turns := r.TrainedTurns(LossAssistant); !slices.Equal(turns, []int{1, 3}) {
		t.Errorf("trained turns %v", turns)
	}
	if turns := r.TrainedTurns(LossCompletion); !slices.Equal(turns, []int{3}) {
		t.Errorf("trained turns %v", turns)
	}
}

func TestFingerprint(t *testing.T) {
	same := [][2]string{
		{`{"text":"a","source":"x"}`, `{"source":"y","text":"a"}`},
		{`{"prefix":"a","suffix":"b","middle":"c","repo":"r"}`, `{"middle":"c","prefix":"a","suffix":"b"}`},
		{`{"messages":[{"role":"user","content":"\u0061"}]}`, `{"session":1,"messages":[{"role":"user","content":"a"}]}`},
	}
	for _, p := range same {
		if readRecord(t, p[0]).Fingerprint() != readRecord(t, p[1]).Fingerprint() {
			t.Errorf("%s and %s differ in where they come from alone", p[0], p[1])
		}
	}
	other := [][2]string{
		{`{"text":"a"}`, `{"text":"A"}`},
		{`{"prefix":"ab","suffix":"","middle":"c"}`, `{"prefix":"a","suffix":"b","middle":"c"}`},
		{`{"messages":[{"role":"user","content":"a"}]}`, `{"messages":[{"role":"user","content":"a"},{"role":"user","content":"a"}]}`},
		{`{"messages":[{"role":"user","content":"a"}]}`, `{"messages":[{"role":"user","content":"a","train":false}]}`},
	}
	for _, p := range other {
		if readRecord(t, p[0]).Fingerprint() == readRecord(t, p[1]).Fingerprint() {
			t.Errorf("%s and %s have one fingerprint", p[0], p[1])
		}
	}
}

// FuzzRecord takes apart whatever reads as a record.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"name":"f","arguments":"x"}]}],"tools":[{"function":null},null]}`,
		`{"conversations":[{"from":"gpt","value":"a"}]}`,
		`{"prefix":"","suffix":"b","middle":"c","context":[1,{"path":2}]}`,
		`{"prompt":[],"completion":[{"role":"a","content":[{"text":"b"}]}]}`,
		`{"instruction":"a","output":"b","history":[["a","b"]]}`,
		`{"text":"a","source":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ReadRecord(line)
		if err != nil {
			return
		}
		first := r.Fingerprint()
		if again := r.Fingerprint(); first != again {
			t.Error("the fingerprint changes")
		}
		n := len(r.Messages())
		for _, turn := range r.TrainedTurns(LossAssistant) {
			if turn >= n {
				t.Errorf("turn %d of %d", turn, n)
			}
		}
		r.Tools()
		r.Context()
		r.Field("source")
	})
}
