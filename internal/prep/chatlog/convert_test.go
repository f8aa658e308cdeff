package chatlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// convert writes the files into a folder, converts it and reads the result.
func convert(t *testing.T, o Options, files ...logFile) ([]Conversation, *Report) {
	t.Helper()
	data, report := run(t, o, files...)
	var out []Conversation
	for line := range bytes.Lines(data) {
		var c Conversation
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			t.Fatalf("output line: %v", err)
		}
		out = append(out, c)
	}
	return out, report
}

// output is the text that files are converted to.
func output(t *testing.T, o Options, files ...logFile) []byte {
	t.Helper()
	data, _ := run(t, o, files...)
	return data
}

// run converts files; its output is empty when there is no conversation.
func run(t *testing.T, o Options, files ...logFile) ([]byte, *Report) {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, "logs", f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.Join(f.lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.Sources, o.Out = []string{filepath.Join(dir, "logs")}, filepath.Join(dir, "out.jsonl")
	report, err := Convert(context.Background(), o)
	if errors.Is(err, ErrNothing) {
		return nil, report
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	return data, report
}

// flat prints messages without ids, one a line.
func flat(messages []wanted) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s %q %q held=%t\n", m.role, m.content, m.calls, m.held)
	}
	return b.String()
}

func found(c Conversation) []wanted {
	var out []wanted
	for _, m := range c.Messages {
		w := wanted{role: m.Role, content: m.Content, held: m.Role == RoleAssistant && !m.trained()}
		for _, call := range m.ToolCalls {
			w.calls = append(w.calls, call.Function.Name+string(call.Function.Arguments))
		}
		out = append(out, w)
	}
	return out
}

// checkShape holds what is true of every conversation, whatever it came from.
func checkShape(c Conversation) error {
	open := []string(nil)
	trained := false
	for i, m := range c.Messages {
		switch {
		case i == 0 && m.Role != RoleUser:
			return fmt.Errorf("begins with %s", m.Role)
		case m.Role == RoleTool && (len(open) == 0 || m.ToolCallID != open[0]):
			return fmt.Errorf("message %d answers %q, open calls are %q", i, m.ToolCallID, open)
		case m.Role != RoleTool && len(open) > 0:
			return fmt.Errorf("message %d comes before the results of %q", i, open)
		case m.Role == RoleAssistant && m.Content == "" && len(m.ToolCalls) == 0:
			return fmt.Errorf("message %d says nothing", i)
		case i > 0 && m.Role == c.Messages[i-1].Role && m.Role != RoleTool:
			return fmt.Errorf("messages %d and %d are both of %s", i-1, i, m.Role)
		}
		if m.Role == RoleTool {
			open = open[1:]
		}
		for _, call := range m.ToolCalls {
			if len(call.ID) != 9 || call.Type != "function" || !bytes.HasPrefix(call.Function.Arguments, []byte("{")) {
				return fmt.Errorf("message %d: call %+v", i, call)
			}
			open = append(open, call.ID)
		}
		trained = trained || m.trained()
	}
	if last := c.Messages[len(c.Messages)-1].Role; len(open) > 0 || last == RoleUser || !trained {
		return fmt.Errorf("ends with %s, calls without results %q, trained %t", last, open, trained)
	}
	return nil
}

// seeds is how many random sessions are converted. QLORA_SESSIONS sets it; the
// full run is 10000.
func seeds(t *testing.T) uint64 {
	if text := os.Getenv("QLORA_SESSIONS"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("QLORA_SESSIONS: %v", err)
		}
		return n
	}
	if testing.Short() {
		return 60
	}
	return 400
}

// hugeLine is the length of the longest line of one seed in 500, bytes.
const hugeLine = 70 << 20

func TestRandomSessions(t *testing.T) {
	for seed := range seeds(t) {
		huge := 0
		if seed%500 == 0 {
			huge = hugeLine
		}
		files, outcomes, bad := corpus(seed, huge)
		got, report := convert(t, Options{Workers: 1 + int(seed%3)}, files...)
		if report.Skipped != bad || len(report.Problems) != bad {
			t.Errorf("seed %d: %d lines skipped, %d listed, want %d", seed, report.Skipped, len(report.Problems), bad)
		}
		var gotText []string
		for _, c := range got {
			if err := checkShape(c); err != nil {
				t.Errorf("seed %d: %s segment %d: %v", seed, c.Source, c.Segment, err)
			}
			if c.Group != "session-a" {
				t.Errorf("seed %d: group %q", seed, c.Group)
			}
			gotText = append(gotText, flat(found(c)))
		}
		g := strings.Join(gotText, "--\n")
		if w := outcomeTexts(outcomes); !slices.Contains(w, g) {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, g, strings.Join(w, "\nor\n"))
		}
	}
}

func outcomeTexts(outcomes [][][]wanted) []string {
	var out []string
	for _, want := range outcomes {
		var texts []string
		for _, w := range want {
			texts = append(texts, flat(w))
		}
		out = append(out, strings.Join(texts, "--\n"))
	}
	return out
}
