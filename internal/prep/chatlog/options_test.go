package chatlog

import (
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// fewTokens takes every n bytes for a token, as texts have about four.
type fewTokens int

func (n fewTokens) Encode(text string, _ bool) ([]int32, error) {
	return make([]int32, (len(text)+int(n)-1)/int(n)), nil
}

// No rendering of a window is longer than the window, and nothing is trained
// twice.
func TestWindowsFit(t *testing.T) {
	const window, bytes = 700, 4
	for _, template := range []string{"qwen2.5", "llama3", "smollm2"} {
		cut := 0
		for seed := range uint64(40) {
			seen := map[string]bool{}
			for _, line := range records(t, seed, Options{Window: window, Tokenizer: fewTokens(bytes)}) {
				text, messages := render(t, template, line)
				if len(text) > window*bytes {
					t.Errorf("seed %d, %s: %d tokens in a window of %d", seed, template, len(text)/bytes, window)
				}
				for _, reply := range trainedTexts(messages) {
					if seen[reply] {
						t.Errorf("seed %d: %q is trained twice", seed, reply)
					}
					seen[reply] = true
				}
				if strings.Contains(string(line), `"window":`) {
					cut++
				}
			}
		}
		if cut == 0 {
			t.Errorf("%s: no conversation was divided", template)
		}
	}
}

// trainedTexts are the words of the replies that loss falls on.
func trainedTexts(messages []any) (out []string) {
	for _, m := range messages {
		content, _ := m.(*jinja.Dict).Get("content")
		role, _ := m.(*jinja.Dict).Get("role")
		train, marked := m.(*jinja.Dict).Get("train")
		if role == RoleAssistant && content != "" && (!marked || train == true) {
			out = append(out, content.(string))
		}
	}
	return out
}

func TestWindows(t *testing.T) {
	c := &converter{o: Options{Window: startTokens + 4*messageTokens + 40, NoTools: true, Tokenizer: fewTokens(1)}}
	say := func(role, text string) Message { return Message{Role: role, Content: text} }
	call := Message{Role: RoleAssistant, ToolCalls: []Call{{Function: Function{Name: "f", Arguments: []byte("{}")}}}}
	long := strings.Repeat("x", 500)
	for _, tt := range []struct {
		name    string
		in      []Message
		want    []string
		dropped string
	}{
		{"turns that fit together", []Message{say("user", "a"), say("assistant", "b"), say("user", "c"), say("assistant", "d")}, []string{"u:a | a:b | u:c | a:d"}, ""},
		{"turns that do not", []Message{say("user", "a"), say("assistant", "b"), say("user", strings.Repeat("c", 40)), say("assistant", "d")},
			[]string{"u:a | a:b", "u:" + strings.Repeat("c", 40) + " | a:d"}, ""},
		{"a turn too large goes", []Message{say("user", long), say("assistant", "b"), say("user", "c"), say("assistant", "d")}, []string{"u:c | a:d"}, reasonTooLarge},
		{"no part goes on behind a hole", []Message{say("user", "a"), say("assistant", "b"), say("user", long), say("assistant", "b"), say("user", "c"), say("assistant", "d")},
			[]string{"u:a | a:b", "u:c | a:d"}, reasonTooLarge},
		{"nor behind a cut turn", []Message{say("user", "a"), say("assistant", "b"), say("assistant", long), say("user", "c"), say("assistant", "d")},
			[]string{"u:a | a:b", "u:c | a:d"}, reasonStepsCut},
		{"a step too large goes", []Message{say("user", "a"), call, say("tool", "r"), say("assistant", long)}, []string{"u:a | a:(1) | t:r"}, reasonStepsCut},
		{"no call without its result", []Message{say("user", "a"), say("assistant", "b"), say("user", "a"), call, say("tool", long)}, []string{"u:a | a:b"}, reasonTooLarge},
	} {
		dropped := map[string]int{}
		var got []string
		for _, w := range c.windows(&Conversation{Messages: tt.in}, dropped) {
			got = append(got, brief(*w))
		}
		if strings.Join(got, "\n") != strings.Join(tt.want, "\n") || tt.dropped != "" && dropped[tt.dropped] == 0 {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, dropped, tt.want)
		}
	}
}

// maskCleaner finds one word.
type maskCleaner struct{}

func (maskCleaner) Clean(text string, counts map[string]int) string {
	if n := strings.Count(text, "hunter2"); n > 0 {
		counts["password"] += n
	}
	return strings.ReplaceAll(text, "hunter2", "<KEY>")
}

// Secrets go wherever they stand, also where a result is cut.
func TestRedaction(t *testing.T) {
	cut := strings.Repeat("x", 3*redactMargin) + strings.Repeat("y", 9) + "hunter2"
	lines := []string{
		userLine("u1", "", "log in with hunter2"),
		strings.Replace(callLine("a1", "u1", "m1", "t1", `{"n":[1,{"hunter2":"a\"hunter2"}],"b":"<x>"}`), `"content":[`, `"content":[{"type":"thinking","thinking":"hunter2?"},`, 1),
		resultLine("r1", "a1", "t1", "hunter2"+strings.Repeat("z", 5)+cut), replyLine("a2", "r1", "m2", "hunter2 it is"),
		userLine("v1", "gone", "hi"), replyLine("v2", "v1", "m3", "hello"),
	}
	o := Options{Cleaner: maskCleaner{}, ResultLimit: 36, Thinking: ThinkingField}
	data, report := run(t, o, logFile{"a.jsonl", lines})
	if strings.Contains(strings.ReplaceAll(string(data), `{"hunter2":`, ""), "hunter") || report.Redacted["password"] != 6 {
		t.Errorf("%v in %s", report.Redacted, data)
	}
	for _, want := range []string{`{"n":[1,{"hunter2":"a\"<KEY>"}],"b":"<x>"}`, `yyyy<KEY>"`, `"content":"<KEY>zzzzz`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is missing in %s", want, data)
		}
	}
	o.DropSecrets = true
	got, report := convert(t, o, logFile{"a.jsonl", lines})
	if len(got) != 1 || brief(got[0]) != "u:hi | a:hello" || report.Dropped[reasonSecret] != 1 {
		t.Errorf("dropped: %q, %v", briefs(got), report.Dropped)
	}
}

func TestThinking(t *testing.T) {
	lines := []string{userLine("u1", "", "hi"),
		strings.Replace(replyLine("a1", "u1", "m1", "hello"), `"content":[`, `"content":[{"type":"thinking","thinking":"hm"},{"type":"redacted_thinking","data":"x"},`, 1)}
	for thinking, want := range map[Thinking]string{
		ThinkingDrop: `"content":"hello"}`, ThinkingField: `"content":"hello","reasoning_content":"hm"}`, ThinkingTags: `"content":"<think>\nhm\n</think>\n\nhello"}`,
	} {
		data, report := run(t, Options{Thinking: thinking}, logFile{"a.jsonl", lines})
		if !strings.Contains(string(data), want) || report.Dropped[reasonOtherBlock] != 1 || (report.Dropped[reasonThinking] == 1) != (thinking == ThinkingDrop) {
			t.Errorf("%s: %s%v", thinking, data, report.Dropped)
		}
	}
}

func TestFormats(t *testing.T) {
	calls := strings.Replace(callLine("a1", "u1", "m1", "t1", `{"k": 1}`), `"content":[`, `"content":[{"type":"text","text":"I look."},{"type":"tool_use","id":"t2","name":"Bash","input":{}},`, 1)
	with := []string{userLine("u1", "", "go"), calls, resultLine("r1", "a1", "t1", "one"), resultLine("r2", "r1", "t2", "two"), replyLine("a2", "r2", "m2", "done"),
		userLine("u2", "a2", "more"), callLine("a3", "u2", "m3", "t3", `{}`), resultLine("r3", "a3", "t3", "three")}
	without := []string{userLine("u1", "", "a"), replyLine("a1", "u1", "m1", "b"), userLine("u2", "a1", "c"), replyLine("a2", "u2", "m2", "d")}
	for _, tt := range []struct {
		format Format
		lines  []string
		want   []string
	}{
		{FormatShareGPT, with, []string{`{"conversations":[{"from":"human","value":"go"},{"from":"function_call","value":"[{\"name\":\"Bash\",\"arguments\":{}},{\"name\":\"Bash\",\"arguments\":{\"k\":1}}]"},` +
			`{"from":"observation","value":"two\n\none"},{"from":"gpt","value":"done"},{"from":"human","value":"more"},{"from":"function_call","value":"{\"name\":\"Bash\",\"arguments\":{}}"}],"system":"s",`}},
		{FormatAlpaca, without, []string{`{"instruction":"c","input":"","output":"d","system":"s","history":[["a","b"]],`}},
		{FormatAlpaca, with, nil},
		{FormatCompletion, without, []string{
			`{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}],`,
			`{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}],`}},
	} {
		data, _ := run(t, Options{Format: tt.format, System: "s", NoTools: true}, logFile{"a.jsonl", tt.lines})
		got := strings.Split(strings.TrimSpace(string(data)), "\n")
		for i, want := range tt.want {
			if len(got) != len(tt.want) || !strings.HasPrefix(got[i], want) {
				t.Errorf("%s: got\n%s\nwant\n%s", tt.format, data, strings.Join(tt.want, "\n"))
				break
			}
		}
	}
}
