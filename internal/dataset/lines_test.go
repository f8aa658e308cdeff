package dataset

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

func TestLinesBeyondTheLimit(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	l := newLineReader(strings.NewReader("short\n"+long+"\nafter\n"+long), 100_000)
	for i, want := range []string{"short", "", "after", ""} {
		data, line, err := l.next()
		if string(data) != want || line != i+1 {
			t.Errorf("line %d is %.20q, numbered %d", i+1, data, line)
		}
		if tooLong := errors.Is(err, errLineTooLong); tooLong != (want == "") {
			t.Errorf("line %d: error %v", i+1, err)
		}
	}
	if _, _, err := l.next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	exact := strings.Repeat("x", 99_999) + "\n"
	if data, _, err := newLineReader(strings.NewReader(exact), 100_000).next(); err != nil || len(data) != 99_999 {
		t.Errorf("a line at the limit: %d bytes, %v", len(data), err)
	}
}

// A file that is no text has no lines to pass over.
func TestLinesOfABinaryFile(t *testing.T) {
	for text, want := range map[string]error{"GGUF\x03\x00\x00\x00": errBinary, "{}\x00\n": errBinary, "\xff{}\n": nil} {
		_, _, err := newLineReader(strings.NewReader(text), 100).next()
		var line *LineError
		if want != nil && err != want || want == nil && !errors.As(err, &line) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzRecords reads arbitrary files: lines add up, records hold what the
// rest of the package relies on, and nothing panics.
func FuzzRecords(f *testing.F) {
	seeds, err := filepath.Glob("testdata/records/*.jsonl")
	if err != nil || len(seeds) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range seeds {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	tpl, err := ChooseTemplate("chatml", "", "", testDay)
	if err != nil {
		f.Fatal(err)
	}
	b := newBuilder(LoadOptions{Template: tpl, Loss: LossAssistant, MaxLength: 64, OverLength: OverSplit}, chatFake())
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := newLineReader(bytes.NewReader(data), 1<<12)
		last := 0
		for {
			line, n, err := lines.next()
			if err == io.EOF || errors.Is(err, errBinary) {
				break
			}
			if n <= last || n > bytes.Count(data, []byte("\n"))+1 {
				t.Fatalf("line %d after line %d", n, last)
			}
			last = n
			if err == nil {
				fuzzRecord(t, b, line)
			}
		}
	})
}

func fuzzRecord(t *testing.T, b *builder, line []byte) {
	r, err := parseRecord(line)
	if err != nil {
		return
	}
	if r.chat != nil {
		for _, m := range r.chat.messages {
			d := m.(*jinja.Dict)
			for _, key := range []string{"role", "content"} {
				v, _ := d.Get(key)
				if _, ok := v.(string); !ok {
					t.Fatalf("%q: %s is %v", line, key, v)
				}
			}
		}
	}
	out, err := b.build(r)
	if err != nil {
		return
	}
	for _, s := range out.samples {
		if len(s.tokens) != len(s.train) || len(s.tokens) > b.o.MaxLength || len(s.tokens) == 0 {
			t.Fatalf("%q: sample of %d tokens and %d marks", line, len(s.tokens), len(s.train))
		}
	}
}
