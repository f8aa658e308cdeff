package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestColorWanted(t *testing.T) {
	cases := []struct {
		name string
		tty  bool
		env  map[string]string
		want bool
	}{
		{"terminal", true, map[string]string{"TERM": "xterm"}, true},
		{"pipe", false, map[string]string{"TERM": "xterm"}, false},
		{"NO_COLOR", true, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{"empty NO_COLOR does not count", true, map[string]string{"NO_COLOR": ""}, true},
		{"dumb terminal", true, map[string]string{"TERM": "dumb"}, false},
	}
	for _, c := range cases {
		if got := colorWanted(c.tty, func(k string) string { return c.env[k] }); got != c.want {
			t.Errorf("%s: colour %t, want %t", c.name, got, c.want)
		}
	}
}

func TestStreamsKeepDataAndTalkApart(t *testing.T) {
	s, out, errOut := Test()
	s.Printf("data %d\n", 1)
	s.Infof("talk\n")
	if out.String() != "data 1\n" || errOut.String() != "talk\n" {
		t.Errorf("out %q, err %q", out, errOut)
	}
	s.Quiet, s.JSON = true, true
	s.Printf("not JSON\n")
	s.Infof("more talk\n")
	if out.String() != "data 1\n" || errOut.String() != "talk\n" {
		t.Errorf("quiet JSON: out %q, err %q", out, errOut)
	}
	s.Warnf("careful with %s", "this")
	if !strings.HasSuffix(errOut.String(), "qlora: warning: careful with this\n") {
		t.Errorf("a warning must print even when quiet: %q", errOut)
	}
}

// TestHangUp: output that nobody can read any more ends no work.
func TestHangUp(t *testing.T) {
	s, _, _ := Test()
	s.Out, s.JSON = gone{}, true
	if err := s.Event("step", nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("before: %v", err)
	}
	s.HangUp()
	if err := s.Event("step", nil); err != nil {
		t.Errorf("after: %v", err)
	}
}

// gone is a terminal that was closed.
type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestPaint(t *testing.T) {
	s, _, _ := Test()
	if got := s.Paint(Red, "x"); got != "x" {
		t.Errorf("without colour: %q", got)
	}
	s.Color = true
	if got := s.Paint(Red, "x"); got != "\x1b[31mx\x1b[0m" {
		t.Errorf("with colour: %q", got)
	}
}

func TestEvent(t *testing.T) {
	s, out, _ := Test()
	if err := s.Event("step", map[string]int{"step": 1}); err != nil || out.Len() != 0 {
		t.Fatalf("without JSON: %v, %q", err, out)
	}
	s.JSON = true
	events := []any{struct {
		Text string `json:"text"`
	}{"a<b>&c\n"}, nil, map[string]int{}}
	for _, v := range events {
		if err := s.Event("note", v); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"message_type":"note","text":"a<b>&c\n"}` + "\n" + strings.Repeat(`{"message_type":"note"}`+"\n", 2)
	if out.String() != want {
		t.Errorf("got %s want %s", out, want)
	}
	for _, bad := range []any{3, []int{1}, "text", func() {}} {
		if err := s.Event("note", bad); err == nil {
			t.Errorf("an event of %T must be refused", bad)
		}
	}
}

func TestEventReportsFailedWrite(t *testing.T) {
	s, _, _ := Test()
	s.JSON, s.Out = true, failingWriter{}
	if err := s.Event("summary", nil); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func FuzzEventLineIsJSON(f *testing.F) {
	f.Add("summary", "text")
	f.Add("a\"b", "\x00\xff</script>")
	f.Fuzz(func(t *testing.T, kind, text string) {
		line, err := eventLine(kind, map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Count(line, []byte("\n")) != 1 || !json.Valid(line) {
			t.Errorf("not one JSON line: %q", line)
		}
	})
}

func TestFail(t *testing.T) {
	if Fail(ExitInvalid, nil) != nil {
		t.Error("Fail of nil must be nil")
	}
	base := errors.New("bad magic")
	inner := Fail(ExitInvalid, base, "inner hint")
	outer := Fail(ExitUsage, fmt.Errorf("read model: %w", inner), "outer hint")
	if !errors.Is(outer, base) || outer.Error() != "read model: bad magic" {
		t.Errorf("got %v", outer)
	}
	if got := Hints(outer); !slices.Equal(got, []string{"outer hint", "inner hint"}) {
		t.Errorf("hints %q", got)
	}
	var coded *CodedError
	if !errors.As(outer, &coded) || coded.Code != ExitUsage {
		t.Errorf("the outermost code must win: %+v", coded)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	Table(&b, []string{"name", "size"}, [][]string{{"é", "9 B"}, {"longer", "10 B"}, {"ragged"}})
	want := "name    size\né        9 B\nlonger  10 B\nragged\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// TestTableIsOfOneLineEach has names that would end the line or colour the rest.
func TestTableIsOfOneLineEach(t *testing.T) {
	var b strings.Builder
	Table(&b, []string{"run", "state"}, [][]string{{"new\nline\x1b[31m\u009b", "a\tb"}})
	if want := "run                    state\nnew\\nline\\x1b[31m\\x9b  a\\tb\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestMarkdownTable(t *testing.T) {
	var b bytes.Buffer
	MarkdownTable(&b, []string{"k", "v"}, [][]string{{"a|b", "-1.5"}, {"c", "-"}})
	want := "| k | v |\n| --- | ---: |\n| a\\|b | -1.5 |\n| c | - |\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestProgressIsSilentOffATerminal(t *testing.T) {
	s, _, errOut := Test()
	p := NewProgress(s, 10, "merging", "B")
	p.Add(3)
	p.Set(5)
	p.Describe("still merging")
	p.Finish()
	if errOut.Len() != 0 {
		t.Errorf("wrote %q", errOut)
	}
}

func TestProgressDrawsOnATerminal(t *testing.T) {
	s, out, errOut := Test()
	s.ErrTTY = true
	p := NewProgress(s, 10, "merging", "tensors")
	if n, err := p.Write(make([]byte, 10)); n != 10 || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	p.Finish()
	if !strings.Contains(errOut.String(), "merging") || out.Len() != 0 {
		t.Errorf("err %q, out %q", errOut, out)
	}
}
