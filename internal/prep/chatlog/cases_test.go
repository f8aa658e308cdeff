package chatlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Short forms of records for tests that are about one thing.
func userLine(uuid, parent, text string) string {
	return fmt.Sprintf(`{"type":"user","uuid":%q,"parentUuid":%q,"sessionId":"s","message":{"role":"user","content":%q}}`, uuid, parent, text)
}

func replyLine(uuid, parent, id, text string) string {
	return fmt.Sprintf(`{"type":"assistant","uuid":%q,"parentUuid":%q,"sessionId":"s","message":{"id":%q,"content":[{"type":"text","text":%q}]}}`, uuid, parent, id, text)
}

func callLine(uuid, parent, id, call, input string) string {
	return fmt.Sprintf(`{"type":"assistant","uuid":%q,"parentUuid":%q,"sessionId":"s","message":{"id":%q,"content":[{"type":"tool_use","id":%q,"name":"Bash","input":%s}],"stop_reason":"tool_use"}}`, uuid, parent, id, call, input)
}

func resultLine(uuid, parent, call, text string) string {
	return fmt.Sprintf(`{"type":"user","uuid":%q,"parentUuid":%q,"sessionId":"s","message":{"content":[{"type":"tool_result","tool_use_id":%q,"content":%q}]}}`, uuid, parent, call, text)
}

// brief is "user:a | assistant:b(call)* | ..."; * marks what is held back.
func brief(c Conversation) string {
	var parts []string
	for _, m := range c.Messages {
		s := m.Role[:1] + ":" + m.Content
		if len(m.ToolCalls) > 0 {
			s += fmt.Sprintf("(%d)", len(m.ToolCalls))
		}
		if m.Role == RoleAssistant && !m.trained() {
			s += "*"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, " | ")
}

func briefs(list []Conversation) []string {
	var out []string
	for _, c := range list {
		out = append(out, brief(c))
	}
	return out
}

func TestSingleSessions(t *testing.T) {
	rejected := rejection + " The tool use was rejected"
	tests := []struct {
		name  string
		lines []string
		want  []string
	}{
		{"records before their parents", []string{
			replyLine("a1", "u1", "m1", "hello"), userLine("u1", "", "hi"),
		}, []string{"u:hi | a:hello"}},
		{"a circle is cut at its first record", []string{
			userLine("u1", "a1", "hi"), replyLine("a1", "u1", "m1", "hello"),
		}, []string{"u:hi | a:hello"}},
		{"a lost record ends one conversation and starts the next", []string{
			userLine("u1", "", "one"), replyLine("a1", "u1", "m1", "1"),
			userLine("u3", "lost", "three"), replyLine("a3", "u3", "m3", "3"),
		}, []string{"u:one | a:1", "u:three | a:3"}},
		{"a tree without a reply is not the branch", []string{
			userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "hello"), userLine("u2", "", "<command-name>/exit</command-name>"),
		}, []string{"u:hi | a:hello"}},
		{"a call without a result goes, the rest stays as context", []string{
			userLine("u1", "", "go"), replyLine("a1", "u1", "m1", "I will."), callLine("a2", "a1", "m1", "t1", "{}"),
			userLine("u2", "a2", "well?"), replyLine("a3", "u2", "m2", "sorry"),
		}, []string{"u:go | a:I will.* | u:well? | a:sorry"}},
		{"a result without a call goes", []string{
			userLine("u1", "", "go"), resultLine("r1", "u1", "t9", "what"), replyLine("a1", "r1", "m1", "done"),
		}, []string{"u:go | a:done"}},
		{"a session may end in a result", []string{
			userLine("u1", "", "go"), callLine("a1", "u1", "m1", "t1", "{}"), resultLine("r1", "a1", "t1", "ok"), userLine("u2", "r1", "and?"),
		}, []string{"u:go | a:(1) | t:ok"}},
		{"arguments that are no object take their result along", []string{
			userLine("u1", "", "go"), callLine("a1", "u1", "m1", "t1", `"[1]"`), resultLine("r1", "a1", "t1", "ok"), replyLine("a2", "r1", "m2", "done"),
		}, []string{"u:go | a:done"}},
		{"a refused call is context", []string{
			userLine("u1", "", "go"), callLine("a1", "u1", "m1", "t1", "{}"), resultLine("r1", "a1", "t1", rejected),
			userLine("u2", "r1", "[Request interrupted by user for tool use]"), userLine("u3", "u2", "no"), replyLine("a2", "u3", "m2", "fine"),
		}, []string{"u:go | a:(1)* | t:" + rejected + " | u:no | a:fine"}},
		{"an interruption before any reply holds nothing back", []string{
			userLine("u1", "", "one"), replyLine("a1", "u1", "m1", "1"), userLine("u2", "a1", "two"),
			userLine("u3", "u2", "[Request interrupted by user]"), userLine("u4", "u3", "three"), replyLine("a4", "u4", "m4", "4"),
		}, []string{"u:one | a:1 | u:two\n\nthree | a:4"}},
		{"a reply to an injected prompt goes", []string{
			userLine("u1", "", "one"), replyLine("a1", "u1", "m1", "1"), userLine("u2", "a1", "Stop hook feedback:\nlint"),
			replyLine("a2", "u2", "m2", "linted"), callLine("a3", "a2", "m3", "t1", "{}"), resultLine("r1", "a3", "t1", "ok"), replyLine("a4", "r1", "m4", "done"),
			userLine("u3", "a4", "two"), replyLine("a5", "u3", "m5", "2"),
		}, []string{"u:one | a:1 | u:two | a:2"}},
		{"injected text between a prompt and its reply goes alone", []string{
			userLine("u1", "", "one"), userLine("u2", "u1", "<system-reminder>x</system-reminder>"), replyLine("a1", "u2", "m1", "1"),
		}, []string{"u:one | a:1"}},
		{"a prompt whose paste is elided goes with its reply", []string{
			userLine("u1", "", "one"), replyLine("a1", "u1", "m1", "1"),
			userLine("u2", "a1", "read [Pasted text #1 +20 lines]"), replyLine("a2", "u2", "m2", "I see"),
		}, []string{"u:one | a:1"}},
		{"nobody asked", []string{replyLine("a1", "", "m1", "hello"), userLine("u1", "a1", "hi"), replyLine("a2", "u1", "m2", "yes")},
			[]string{"u:hi | a:yes"}},
		{"two replies in a row are one", []string{
			userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "one"), replyLine("a2", "a1", "m2", "two"),
		}, []string{"u:hi | a:one\n\ntwo"}},
		{"what was typed meanwhile is a prompt", []string{
			userLine("u1", "", "go"), callLine("a1", "u1", "m1", "t1", "{}"), resultLine("r1", "a1", "t1", "ok"),
			`{"type":"attachment","uuid":"q1","parentUuid":"r1","attachment":{"type":"queued_command","prompt":"add tests"}}`,
			replyLine("a2", "q1", "m2", "done"),
		}, []string{"u:go | a:(1) | t:ok | u:add tests | a:done"}},
		{"warm-up", []string{userLine("u1", "", "Warmup"), replyLine("a1", "u1", "m1", "ready")}, nil},
		{"records without uuid follow one another", []string{
			`{"type":"user","message":{"content":"hi"}}`, `{"type":"assistant","message":{"id":"m1","content":"hello"}}`,
		}, []string{"u:hi | a:hello"}},
		{"the last prompt's branch wins over a later one", []string{
			userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "one"), userLine("u2", "a1", "left"), replyLine("a2", "u2", "m2", "l"),
			userLine("u3", "a1", "right"), replyLine("a3", "u3", "m3", "r"), `{"type":"last-prompt","leafUuid":"u2"}`,
		}, []string{"u:hi | a:one | u:left | a:l"}},
		{"the later branch in time wins over the later in the file", []string{
			userLine("u1", "", "hi"),
			strings.Replace(replyLine("a1", "u1", "m1", "late"), `"type"`, `"timestamp":"2026-01-02T00:00:01Z","type"`, 1),
			strings.Replace(replyLine("a2", "u1", "m2", "early"), `"type"`, `"timestamp":"2026-01-01T00:00:00Z","type"`, 1),
		}, []string{"u:hi | a:late"}},
		{"two blocks of text that begin alike after the end", []string{
			userLine("u1", "", "hi"),
			`{"type":"assistant","uuid":"a1","parentUuid":"u1","message":{"id":"m1","stop_reason":"end_turn","content":[{"type":"text","text":"No"}]}}`,
			replyLine("a2", "a1", "m1", "Not yet"),
		}, []string{"u:hi | a:No\n\nNot yet"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := convert(t, Options{}, logFile{"s.jsonl", tt.lines})
			if !slices.Equal(briefs(got), tt.want) {
				t.Errorf("got  %q\nwant %q", briefs(got), tt.want)
			}
		})
	}
}

// Two sessions that went different ways from one history: the longer trains
// it, the other keeps it as context, and both are one group.
func TestForkTrainsHistoryOnce(t *testing.T) {
	history := []string{userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "hello")}
	rename := func(lines []string, id string) []string {
		var out []string
		for _, l := range lines {
			out = append(out, strings.Replace(l, `"sessionId":"s"`, `"sessionId":"`+id+`"`, 1))
		}
		return out
	}
	a := append(slices.Clone(history), userLine("u2", "a1", "left"), replyLine("a2", "u2", "m2", "l"))
	b := append(slices.Clone(history), userLine("u3", "a1", "right"), replyLine("a3", "u3", "m3", "r"), userLine("u4", "a3", "more"), replyLine("a4", "u4", "m4", "m"))
	got, report := convert(t, Options{}, logFile{"a.jsonl", rename(a, "y")}, logFile{"b.jsonl", rename(b, "x")})
	want := []string{"u:hi | a:hello* | u:left | a:l", "u:hi | a:hello | u:right | a:r | u:more | a:m"}
	if !slices.Equal(briefs(got), want) {
		t.Errorf("got  %q\nwant %q", briefs(got), want)
	}
	if got[0].Group != "x" || got[1].Group != "x" || got[0].Session != "y" {
		t.Errorf("groups %q %q, session %q", got[0].Group, got[1].Group, got[0].Session)
	}
	if report.Held[heldCopied] != 1 {
		t.Errorf("held back: %v", report.Held)
	}
}

func TestSidechains(t *testing.T) {
	side := func(line string) string { return strings.Replace(line, `"type"`, `"isSidechain":true,"type"`, 1) }
	lines := []string{
		userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "hello"),
		side(userLine("s1", "a1", "task")), side(replyLine("s2", "s1", "m1", "replayed id")), side(replyLine("s3", "s2", "m9", "found")),
	}
	got, report := convert(t, Options{}, logFile{"a.jsonl", lines})
	if want := []string{"u:hi | a:hello"}; !slices.Equal(briefs(got), want) || report.Dropped[reasonSidechain] != 3 {
		t.Errorf("dropped sidechains: %q, %v", briefs(got), report.Dropped)
	}
	lines[3] = side(replyLine("s2", "s1", "m8", "looking"))
	got, _ = convert(t, Options{Sidechains: true}, logFile{"a.jsonl", lines})
	want := []string{"u:hi | a:hello", "u:task | a:looking\n\nfound"}
	if !slices.Equal(briefs(got), want) || got[0].Sidechain || !got[1].Sidechain {
		t.Errorf("kept sidechains: %q", briefs(got))
	}
}

func TestOptions(t *testing.T) {
	lines := []string{
		`{"type":"user","uuid":"c1","isCompactSummary":true,"message":{"content":"This session is being continued from a previous conversation. We fixed it."}}`,
		callLine("a1", "c1", "m1", "t1", `{"b":1,"a":"<x>"}`), resultLine("r1", "a1", "t1", strings.Repeat("ä", 100)), replyLine("a2", "r1", "m2", "done"),
	}
	got, _ := convert(t, Options{Summaries: true, System: "Be brief.", ResultLimit: 41}, logFile{"a.jsonl", lines})
	if len(got) != 1 {
		t.Fatalf("%d conversations", len(got))
	}
	m := got[0].Messages
	if m[0].Role != RoleSystem || m[0].Content != "Be brief." || !strings.HasPrefix(m[1].Content, "This session is being continued") {
		t.Errorf("begins %+v", m[:2])
	}
	if string(m[2].ToolCalls[0].Function.Arguments) != `{"b":1,"a":"<x>"}` {
		t.Errorf("arguments %s", m[2].ToolCalls[0].Function.Arguments)
	}
	if want := strings.Repeat("ä", 15) + "\n[160 bytes omitted]\n" + strings.Repeat("ä", 5); m[3].Content != want {
		t.Errorf("shortened result %q, want %q", m[3].Content, want)
	}
}

// Ids stay apart even where a log uses one twice.
func TestNumber(t *testing.T) {
	call := func(id string) Message { return Message{Role: RoleAssistant, ToolCalls: []Call{{ID: id}}} }
	result := func(id string) Message { return Message{Role: RoleTool, ToolCallID: id} }
	m := []Message{call("x"), result("x"), call("x"), result("x"), call("y"), result("y")}
	number(m)
	for i, want := range []string{"call00001", "call00002", "call00003"} {
		if m[2*i].ToolCalls[0].ID != want || m[2*i+1].ToolCallID != want {
			t.Errorf("call %d is %q, answered as %q, want %q", i, m[2*i].ToolCalls[0].ID, m[2*i+1].ToolCallID, want)
		}
	}
}

func TestPromptText(t *testing.T) {
	for _, tt := range []struct{ in, kept, reason string }{
		{"fix it", "fix it", ""},
		{"use <div> and <b>bold</b>", "use <div> and <b>bold</b>", ""},
		{"<command> is not a tag of ours", "<command> is not a tag of ours", ""},
		{"<ide_selection>x</ide_selection>\n\nfix it", "fix it", reasonInjected},
		{"<teammate-message from=\"a\">x</teammate-message>", "", reasonInjected},
		{"<system-reminder>never closed", "", reasonInjected},
		{"a<system-reminder>x</system-reminder>b", "ab", reasonInjected},
		{"Tool loaded.", "", reasonInjected},
		{"[Request interrupted by user for tool use]", "", reasonInterrupted},
		{"see [Pasted text #2]", "", reasonPasted},
		{"\x1b[31mred\x1b[0m\x00", "red", reasonInjected},
	} {
		if kept, reason := promptText(tt.in); kept != tt.kept || reason != tt.reason {
			t.Errorf("promptText(%q) = %q, %q, want %q, %q", tt.in, kept, reason, tt.kept, tt.reason)
		}
	}
}

func TestProblemsNameFileAndLine(t *testing.T) {
	files := []logFile{
		{"p/a.jsonl", []string{userLine("u1", "", "hi"), `{"type":`, replyLine("a1", "u1", "m1", "hello"), `[1,2]`, `{"type":"user","uu`}},
		{"p/notes.txt", []string{"not a log"}},
		{"p/agent-acompact-1.jsonl", []string{"broken"}},
	}
	got, report := convert(t, Options{}, files...)
	if len(got) != 1 || report.Files != 1 {
		t.Fatalf("%d conversations of %d files", len(got), report.Files)
	}
	var where []string
	for _, p := range report.Problems {
		where = append(where, fmt.Sprintf("%s:%d %s", p.File, p.Line, strings.SplitN(p.Reason, ":", 2)[0]))
	}
	want := []string{"p/a.jsonl:2 malformed line", "p/a.jsonl:4 malformed line", "p/a.jsonl:5 torn last line"}
	if !slices.Equal(where, want) {
		t.Errorf("problems %q, want %q", where, want)
	}
}

func TestNothingFoundWritesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "history.jsonl"), []byte(`{"display":"hi","timestamp":1}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out.jsonl")
	if _, err := Convert(context.Background(), Options{Sources: []string{dir}, Out: out}); !errors.Is(err, ErrNothing) {
		t.Errorf("error %v, want ErrNothing", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("folder holds %v", entries)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	lines := strings.Join([]string{userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "hello")}, "\n")
	if err := os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	reads := 0
	_, err := Convert(ctx, Options{Sources: []string{dir}, Out: filepath.Join(dir, "o.jsonl"), Progress: func(int64) {
		if reads++; reads == 2 { // in the second pass, with the output open
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("folder holds %v", entries)
	}
}

// An output in the folder that is searched is not taken for a log.
func TestOutputAmongTheLogs(t *testing.T) {
	dir := t.TempDir()
	lines := strings.Join([]string{userLine("u1", "", "hi"), replyLine("a1", "u1", "m1", "hello")}, "\n")
	if err := os.WriteFile(filepath.Join(dir, "a.jsonl"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Sources: []string{dir}, Out: filepath.Join(dir, "chat.jsonl")}
	for range 2 {
		report, err := Convert(context.Background(), o)
		if err != nil || report.Files != 1 || report.Conversations != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
}

// The samples in the repository hold every oddity; what they give is fixed.
func TestSampleLogs(t *testing.T) {
	src := filepath.Join("..", "..", "..", "data", "staging")
	out := filepath.Join(t.TempDir(), "out.jsonl")
	report, err := Convert(context.Background(), Options{Sources: []string{src}, Out: out, ResultLimit: 4000})
	if err != nil {
		t.Fatal(err)
	}
	if report.Files != 37 || report.Conversations != 36 || report.Skipped != 1 {
		t.Errorf("%d files, %d conversations, %d lines skipped", report.Files, report.Conversations, report.Skipped)
	}
	for reason, n := range map[string]int{
		reasonTorn: 1, reasonAbandoned: 2, reasonSidechain: 2, reasonResumeCopy: 1, reasonFailure: 1, reasonInterrupted: 2,
	} {
		if report.Dropped[reason] != n {
			t.Errorf("%s: %d, want %d", reason, report.Dropped[reason], n)
		}
	}
	if report.Held[heldInterrupted] != 1 || report.Held[heldRejected] != 1 {
		t.Errorf("held back: %v", report.Held)
	}
}

// A session of which every other record is lost is many trees, and still read
// in time that grows with its length.
func TestManyLostRecords(t *testing.T) {
	var lines []string
	for i := range 40000 {
		lines = append(lines, userLine(fmt.Sprint("u", i), fmt.Sprint("lost", i), "hi"), replyLine(fmt.Sprint("a", i), fmt.Sprint("u", i), fmt.Sprint("m", i), "hello"))
	}
	start := time.Now()
	if got, _ := convert(t, Options{}, logFile{"s.jsonl", lines}); len(got) != 40000 {
		t.Errorf("%d conversations", len(got))
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}
