package chatlog

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func exportLine(id string, messages ...string) string {
	return fmt.Sprintf(`{"uuid":%q,"name":"n","created_at":"2026-01-02T03:04:05Z","account":{"uuid":"a"},"chat_messages":[%s]}`, id, strings.Join(messages, ","))
}

func exportTalk(uuid, parent, sender, created, content string) string {
	return fmt.Sprintf(`{"uuid":%q,"parent_message_uuid":%q,"sender":%q,"created_at":"2026-01-02T03:04:%sZ","text":"lossy","content":[%s],"attachments":[],"files":[]}`,
		uuid, parent, sender, created, content)
}

func says(text string) string { return fmt.Sprintf(`{"type":"text","text":%q}`, text) }

// exportSample has an edited prompt, a tool without ids, an attachment, and an
// old conversation without parents or content.
func exportSample() string {
	first := exportLine("c1",
		exportTalk("u1", rootParent, "human", "01", says("hi")),
		exportTalk("a1", "u1", "assistant", "02", `{"type":"thinking","thinking":"hm"},`+says("I will search.")+
			`,{"type":"tool_use","name":"web_search","input":{"query":"x"}},{"type":"tool_result","name":"web_search","content":[{"type":"text","text":"found"}]},`+says("Here.")),
		exportTalk("u2", "a1", "human", "03", says("old question")),
		exportTalk("a2", "u2", "assistant", "04", says("old answer")),
		exportTalk("u3", "a1", "human", "05", says("new question")),
		exportTalk("a3", "u3", "assistant", "06", says("new answer")))
	second := exportLine("c2",
		`{"uuid":"x1","sender":"human","text":"read this","attachments":[{"file_name":"a.txt","extracted_content":"abc"}]}`,
		`{"uuid":"x2","sender":"assistant","text":"I read abc."}`)
	return "[" + first + "," + second + "]"
}

var exportWant = []string{
	"u:hi | a:I will search.(1) | t:found | a:Here. | u:new question | a:new answer",
	"u:[Attachment: a.txt]\nabc\n\nread this | a:I read abc.",
}

func TestExport(t *testing.T) {
	pretty := strings.ReplaceAll(strings.ReplaceAll(exportSample(), "},{", "},\n  {"), "[{", "[\n{")
	for name, text := range map[string]string{
		"export.json": exportSample(), "any name": pretty, "lines": strings.ReplaceAll(exportSample()[1:len(exportSample())-1], `]},{"uuid":"c2"`, "]}\n"+`{"uuid":"c2"`),
	} {
		got, report := convert(t, Options{}, logFile{name, []string{text}})
		if !slices.Equal(briefs(got), exportWant) {
			t.Errorf("%s: got %q, %v %v", name, briefs(got), report.Dropped, report.Problems)
			continue
		}
		if got[0].Session != "c1" || got[1].Group != "c2" || report.Dropped[reasonAbandoned] != 2 {
			t.Errorf("%s: session %q, group %q, %v", name, got[0].Session, got[1].Group, report.Dropped)
		}
	}
}

func TestExportLeaf(t *testing.T) {
	text := strings.Replace(exportSample(), `"name":"n"`, `"current_leaf_message_uuid":"a2"`, 1)
	got, _ := convert(t, Options{}, logFile{"e.json", []string{text}})
	if want := "u:hi | a:I will search.(1) | t:found | a:Here. | u:old question | a:old answer"; brief(got[0]) != want {
		t.Errorf("got %q", brief(got[0]))
	}
}

// A torn export gives what is whole, and a problem.
func TestTornExport(t *testing.T) {
	text := exportSample()
	got, report := convert(t, Options{}, logFile{"e.json", []string{text[:len(text)-40]}})
	if len(got) != 1 || report.Skipped != 1 || !strings.Contains(report.Problems[0].Reason, reasonTorn) {
		t.Errorf("%q, %v", briefs(got), report.Problems)
	}
}

func TestArchivesAndCompression(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	session := []byte(userLine("u1", "", "hi") + "\n" + replyLine("a1", "u1", "m1", "hello") + "\n")
	var packed, squeezed, archived bytes.Buffer
	gz := gzip.NewWriter(&packed)
	gz.Write(session)
	gz.Close()
	write("packed", packed.Bytes())
	zs, err := zstd.NewWriter(&squeezed)
	if err != nil {
		t.Fatal(err)
	}
	zs.Write(bytes.ReplaceAll(bytes.ReplaceAll(session, []byte("m1"), []byte("m2")), []byte("hello"), []byte("bye")))
	zs.Close()
	write("squeezed.zst", squeezed.Bytes())
	z := zip.NewWriter(&archived)
	for name, text := range map[string]string{"data/conversations.json": exportSample(), "data/users.json": `[{"uuid":"u"}]`} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	z.Close()
	write("export.zip", archived.Bytes())
	write("cut.gz", packed.Bytes()[:packed.Len()-9])
	write("broken.zip", archived.Bytes()[:40])
	write("picture.png", []byte("\x89PNG\r\n\x1a\n\x00\x00"))

	out := filepath.Join(t.TempDir(), "o.jsonl")
	report, err := Convert(context.Background(), Options{Sources: []string{dir}, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	if report.Conversations != 4 || report.Skipped != 2 || report.Others != 2 {
		t.Errorf("%d conversations, problems %v, %d others", report.Conversations, report.Problems, report.Others)
	}
	text, _ := os.ReadFile(out)
	for _, source := range []string{`"export.zip/data/conversations.json"`, `"packed"`, `"squeezed.zst"`} {
		if !bytes.Contains(text, []byte(source)) {
			t.Errorf("nothing from %s", source)
		}
	}
}

const (
	askHi    = `{"role":"user","content":"hi"}`
	sayHello = `{"role":"assistant","content":[{"type":"text","text":"hello"}]}`
	askMore  = `{"role":"user","content":[{"type":"text","text":"more","cache_control":{"type":"ephemeral"}},{"type":"text","text":"<system-reminder>x</system-reminder>"}]}`
)

func requestLine(messages ...string) string {
	return `{"model":"claude-x","max_tokens":100,"system":[{"type":"text","text":"Be brief."}],"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}},{"type":"web_search_20250305","name":"web_search"}],"messages":[` + strings.Join(messages, ",") + `]}`
}

func responseLine(text string) string {
	return `{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[` + says(text) + `],"stop_reason":"end_turn"}`
}

func streamLines(end bool) string {
	lines := []string{
		`{"type":"message_start","message":{"id":"msg_2","model":"claude-x","content":[]}}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, `{"type":"ping"}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"I \"wi"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ll\"."}}`, `{"type":"content_block_stop","index":0}`,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\": "}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}`,
		`{"type":"brand_new"}`, `{"type":"message_delta","delta":{"stop_reason":"tool_use"}}`,
	}
	if end {
		lines = append(lines, `{"type":"message_stop"}`)
	}
	var b strings.Builder
	for _, l := range lines {
		kind, _, _ := strings.Cut(strings.TrimPrefix(l, `{"type":"`), `"`)
		fmt.Fprintf(&b, "event: %s\ndata: %s\n\n", kind, l)
	}
	return b.String()
}

func TestAPILogs(t *testing.T) {
	quote := func(s string) string { return fmt.Sprintf("%q", s) }
	history := []string{askHi, sayHello, askMore}
	tests := []struct {
		name  string
		files []logFile
		want  []string
	}{
		{"pairs, each repeating the history", []logFile{{"p.jsonl", []string{
			`{"request":` + requestLine(askHi) + `,"response":` + responseLine("hello") + `}`,
			`{"request":` + requestLine(history...) + `,"response":` + responseLine("more then") + `}`,
		}}}, []string{"s:Be brief. | u:hi | a:hello | u:more | a:more then"}},
		{"bodies as text", []logFile{{"p.jsonl", []string{
			`{"request_body":` + quote(requestLine(askHi)) + `,"response_body":` + quote(responseLine("hello")) + `}`,
		}}}, []string{"s:Be brief. | u:hi | a:hello"}},
		{"request and response in turn", []logFile{{"p.log", []string{requestLine(askHi), responseLine("hello")}}},
			[]string{"s:Be brief. | u:hi | a:hello"}},
		{"a request alone, spread over lines", []logFile{{"body", []string{strings.Replace(requestLine(askHi, sayHello), `{"model"`, "{\n\"model\"", 1)}}},
			[]string{"s:Be brief. | u:hi | a:hello"}},
		{"two ways from one history", []logFile{{"p.jsonl", []string{
			requestLine(askHi, sayHello, askMore, `{"role":"assistant","content":"left"}`),
			requestLine(askHi, sayHello, `{"role":"user","content":"other"}`, `{"role":"assistant","content":"right"}`),
		}}}, []string{"s:Be brief. | u:hi | a:hello | u:more | a:left", "s:Be brief. | u:hi | a:hello* | u:other | a:right"}},
		{"a stream after its request, and the results in the next", []logFile{{"p.log", []string{
			requestLine(askHi), streamLines(true),
			`{"request":` + requestLine(askHi, `{"role":"assistant","content":[{"type":"text","text":"I \"will\"."},{"type":"tool_use","id":"t1","name":"f","input":{"a":1}}]}`,
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"ok"}]}`) + `,"response":` + responseLine("done") + `}`,
		}}}, []string{`s:Be brief. | u:hi | a:I "will".(1) | t:ok | a:done`}},
		{"files that belong together", []logFile{{"01-request.json", []string{requestLine(askHi)}}, {"01-response.sse", []string{
			strings.ReplaceAll(strings.ReplaceAll(streamLines(true), `"tool_use","id":"t1","name":"f","input":{}`, `"text","text":" So."`), "input_json", "none"),
		}}}, []string{"s:Be brief. | u:hi | a:I \"will\".\n\n So."}},
		{"a stream as text of a pair", []logFile{{"p.jsonl", []string{
			`{"request":` + requestLine(askHi, sayHello, askMore) + `,"response":` + quote(streamLines(false)) + `}`,
		}}}, []string{"s:Be brief. | u:hi | a:hello"}},
		{"the beginning of the answer was given", []logFile{{"p.jsonl", []string{
			`{"request":` + requestLine(askHi, `{"role":"assistant","content":"he"}`) + `,"response":` + responseLine("llo") + `}`,
		}}}, []string{"s:Be brief. | u:hi | a:hello"}},
		{"nothing but a response", []logFile{{"p.jsonl", []string{responseLine("hello")}}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, report := convert(t, Options{}, tt.files...)
			if !slices.Equal(briefs(got), tt.want) {
				t.Errorf("got  %q\nwant %q\n%v %v", briefs(got), tt.want, report.Dropped, report.Problems)
			}
			for _, c := range got {
				if len(c.Tools) != 1 || string(c.Tools[0]) != `{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}` {
					t.Errorf("tools %s", c.Tools)
				}
			}
		})
	}
}

func TestAPIReasons(t *testing.T) {
	_, report := convert(t, Options{}, logFile{"p.jsonl", []string{
		responseLine("alone"), `{"request":` + requestLine(askHi) + `,"response":{"type":"error","error":{"type":"overloaded_error"}}}`,
		requestLine(askHi), streamLines(false), `{"request":` + requestLine(askHi) + `,"response":{"weather":"fine"}}`, `{"neither":1}`, `broken`, `{"request":`,
	}})
	for _, reason := range []string{reasonNoRequest, reasonErrorResponse, reasonCutStream, reasonUnreadableResponse} {
		if report.Dropped[reason] != 1 {
			t.Errorf("%s: %d, want 1", reason, report.Dropped[reason])
		}
	}
	if report.Skipped != 3 {
		t.Errorf("problems %v", report.Problems)
	}
}

func TestCapture(t *testing.T) {
	in := func(session, parent, rest string) string {
		return fmt.Sprintf(`{%s,"session_id":%q,"parent_tool_use_id":%s}`, rest, session, parent)
	}
	lines := []string{
		`{"type":"system","subtype":"init","session_id":"s1","tools":["Task"],"model":"claude-x"}`,
		in("s1", "null", `"type":"user","message":{"role":"user","content":"go"}`),
		in("s1", "null", `"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"I ask."}]}`),
		in("s1", "null", `"type":"assistant","message":{"id":"m1","content":[{"type":"tool_use","id":"t1","name":"Task","input":{}}]}`),
		in("s1", `"t1"`, `"type":"user","message":{"role":"user","content":"task"}`),
		in("s1", `"t1"`, `"type":"assistant","message":{"id":"m2","content":[{"type":"text","text":"found"}]}`),
		in("s1", "null", `"type":"user","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","content":"found"}]}`),
		`{"type":"stream_event","event":{"type":"ping"},"session_id":"s1"}`,
		in("s1", "null", `"type":"assistant","message":{"id":"m3","content":[{"type":"text","text":"Done."}]}`),
		`{"type":"result","subtype":"success","session_id":"s1"}`,
		in("s2", "null", `"type":"user","message":{"role":"user","content":"other"}`),
		in("s2", "null", `"type":"assistant","message":{"id":"m4","content":[{"type":"text","text":"Yes."}]}`),
	}
	got, _ := convert(t, Options{Sidechains: true}, logFile{"capture.txt", lines})
	want := []string{"u:go | a:I ask.(1) | t:found | a:Done.", "u:task | a:found", "u:other | a:Yes."}
	if !slices.Equal(briefs(got), want) || got[0].Session != "s1" || got[2].Session != "s2" {
		t.Errorf("got %q", briefs(got))
	}
}

// Stored results come from the session's own folder and nowhere else.
func TestStoredResults(t *testing.T) {
	stored := func(path string) string {
		return "<persisted-output>\nOutput too large (9 KB). Full output saved to: " + path + "\n\nPreview (first 2.0 KB):\nhead"
	}
	for _, tt := range []struct{ path, result, reason string }{
		{"/home/x/.claude/projects/p/s/tool-results/t1.txt", "all of it", ""},
		{"/home/x/.claude/projects/p/s/tool-results/gone.txt", "", reasonStoredMissing},
		{"/home/x/.claude/projects/p/s/tool-results/../../secret.txt", "", reasonStoredOutside},
		{"/home/x/.claude/projects/p/s/tool-results/link.txt", "", reasonStoredOutside},
		{"/etc/passwd", "", reasonStoredOutside},
	} {
		lines := []string{userLine("u1", "", "go"), callLine("a1", "u1", "m1", "t1", "{}"), resultLine("r1", "a1", "t1", stored(tt.path)), replyLine("a2", "r1", "m2", "done")}
		dir := t.TempDir()
		results := filepath.Join(dir, "p", "s", "tool-results")
		if err := os.MkdirAll(results, 0o700); err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string]string{
			filepath.Join(dir, "p", "s.jsonl"): strings.Join(lines, "\n"), filepath.Join(results, "t1.txt"): "all of it", filepath.Join(dir, "secret.txt"): "secret",
		} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Join("..", "..", "..", "secret.txt"), filepath.Join(results, "link.txt")); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "o.jsonl")
		report, err := Convert(context.Background(), Options{Sources: []string{dir}, Out: out})
		if err != nil {
			t.Fatal(err)
		}
		text, _ := os.ReadFile(out)
		want := tt.result
		if want == "" {
			want = "<persisted-output>"
		}
		if !bytes.Contains(text, []byte(`"role":"tool","content":"`+want)) || bytes.Contains(text, []byte("secret\"")) || tt.reason != "" && report.Dropped[tt.reason] != 1 {
			t.Errorf("%s: %s%v", tt.path, text, report.Dropped)
		}
	}
}

// Tools are declared with what their calls had in common, whatever the names
// of their arguments.
func TestObservedTools(t *testing.T) {
	lines := []string{userLine("u1", "", "go"),
		callLine("a1", "u1", "m1", "t1", `{"n":1,"path":"x","on":true,"a\u00e4\"":null}`), resultLine("r1", "a1", "t1", "ok"),
		callLine("a2", "r1", "m2", "t2", `"{\"n\":1.5,\"path\":\"y\",\"list\":[],\"on\":{}}"`), resultLine("r2", "a2", "t2", "ok")}
	got, _ := convert(t, Options{}, logFile{"a.jsonl", lines})
	want := `{"type":"function","function":{"name":"Bash","description":"","parameters":{"type":"object","properties":{"aä\"":{},"list":{"type":"array"},` +
		`"n":{"type":"number"},"on":{},"path":{"type":"string"}},"required":["n","on","path"]}}}`
	if len(got) != 1 || len(got[0].Tools) != 1 || string(got[0].Tools[0]) != want {
		t.Errorf("got %s", got[0].Tools)
	}
}
