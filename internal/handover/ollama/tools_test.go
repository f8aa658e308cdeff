package ollama_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/template"
	"github.com/ollama/ollama/tools"

	"github.com/qlora/qlora/internal/handover/ollama"
)

// offered are tools in OpenAI's form, keys in the order in which Ollama writes
// them.
const offered = `[{"type": "function", "function": {"name": "weather", "description": "rain, [sun] or {wind}",
"parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string", "description": "where"}, "day": {"type": "integer"}}}}},
{"type": "function", "function": {"name": "now", "description": "the time", "parameters": {"type": "object", "properties": {}}}}]`

// oneCall and twoCalls are chats with tools. Some templates refuse two calls at
// a time.
const oneCall = `[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"},
{"role": "assistant", "content": "", "tool_calls": [{"id": "a23456789", "type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo", "day": 2}}}]},
{"role": "tool", "content": "rain [1] {2}", "tool_call_id": "a23456789"}, {"role": "assistant", "content": "It rains."}, {"role": "user", "content": "And now?"}]`

const twoCalls = `[{"role": "user", "content": "Weather?"},
{"role": "assistant", "content": "", "tool_calls": [{"id": "a23456789", "type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}},
{"id": "b23456789", "type": "function", "function": {"name": "now", "arguments": {}}}]},
{"role": "tool", "content": "rain", "tool_call_id": "a23456789"}, {"role": "tool", "content": "noon", "tool_call_id": "b23456789"}]`

// toolCases say what each model's output looks like where it calls a tool.
var toolCases = []struct {
	file, output string
	two          bool
}{
	{"qwen2.5.jinja", "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>", true},
	{"qwen3.jinja", "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>", true},
	{"llama3.1.jinja", `{"name": "weather", "parameters": {"city": "Oslo"}}`, false},
	{"llama3.1-user.jinja", `{"name": "weather", "parameters": {"city": "Oslo"}}`, false},
	{"mistral-v0.3.jinja", `[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}, "id": "a23456789"}]`, true},
}

func fromJSON[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// spaceless drops the space between the parts of JSON, and no other: one that
// follows a comma, a colon or an opening bracket, or stands before a closing one.
var spaceless = regexp.MustCompile(`([,:{\[])\s+(["{\[\d])|\s+([}\]])`)

func tight(text string) string {
	for {
		next := spaceless.ReplaceAllString(text, "$1$2$3")
		if next == text {
			return text
		}
		text = next
	}
}

func TestOllamaWritesToolsAsTheModelDoes(t *testing.T) {
	for _, c := range toolCases {
		text, render := chatTemplate(t, c.file)
		choice, ok := ollama.Choose(text, render, ollama.FIM{})
		if !ok || !choice.Tools || choice.ToolsDiffer != "" || choice.Differs != "" {
			t.Errorf("%s: tools %v, differ: %s; plain chats differ: %s", c.file, choice.Tools, choice.ToolsDiffer, choice.Differs)
			continue
		}
		for _, chat := range []string{oneCall, twoCalls, `[{"role": "user", "content": "Weather?"}]`} {
			want, err := render(fromJSON[[]ollama.Message](t, chat), fromJSON[[]ollama.Tool](t, offered))
			if err != nil {
				if chat != twoCalls || c.two {
					t.Errorf("%s: %v", c.file, err)
				}
				continue
			}
			messages := fromJSON[[]api.Message](t, chat)
			if choice.System != "" && messages[0].Role != "system" {
				messages = append([]api.Message{{Role: "system", Content: choice.System}}, messages...)
			}
			got := byOllama(t, choice.Template, template.Values{Messages: messages, Tools: fromJSON[api.Tools](t, offered)})
			if tight(got) != tight(want) {
				t.Errorf("%s: Ollama writes\n%q, want\n%q", c.file, tight(got), tight(want))
			}
		}
	}
}

func TestOllamaFindsTheCallsOfEachFamily(t *testing.T) {
	for _, c := range toolCases {
		text, render := chatTemplate(t, c.file)
		choice, _ := ollama.Choose(text, render, ollama.FIM{Prefix: "<a>", Suffix: "<b>", Middle: "<c>"})
		tpl, err := template.Parse(choice.Template)
		if err != nil {
			t.Fatal(err)
		}
		calls, content := tools.NewParser(tpl.Template, fromJSON[api.Tools](t, offered)).Add(c.output)
		if len(calls) != 1 || calls[0].Function.Name != "weather" || calls[0].Function.Arguments.String() != `{"city":"Oslo"}` || strings.TrimSpace(content) != "" {
			t.Errorf("%s: calls %v, content %q", c.file, calls, content)
		}
	}
}

// TestMistralCallsWithoutIdentifiers: Ollama's clients may send none.
func TestMistralCallsWithoutIdentifiers(t *testing.T) {
	text, render := chatTemplate(t, "mistral-v0.3.jinja")
	choice, _ := ollama.Choose(text, render, ollama.FIM{})
	got := byOllama(t, choice.Template, template.Values{Messages: fromJSON[[]api.Message](t, toolChat)})
	const want = `[INST] weather?[/INST][TOOL_CALLS] [{"name": "w", "arguments": {"city":"Oslo"}}, {"name": "w", "arguments": {"city":"Rome"}}]</s>` +
		`[TOOL_RESULTS] {"content": rain}[/TOOL_RESULTS][TOOL_RESULTS] {"content": sun}[/TOOL_RESULTS]` +
		`[TOOL_CALLS] [{"name": "now", "arguments": {}}]</s>[TOOL_RESULTS] {"content": noon}[/TOOL_RESULTS]`
	if got != want {
		t.Errorf("\n%s, want\n%s", got, want)
	}
}

func TestToolsLeftOutAreTold(t *testing.T) {
	for _, file := range []string{"llama3.jinja", "chatml.jinja", "mistral.jinja", "gemma.jinja", "smollm2.jinja"} {
		text, render := chatTemplate(t, file)
		if choice, _ := ollama.Choose(text, render, ollama.FIM{}); choice.Tools || choice.ToolsDiffer != "" {
			t.Errorf("%s, which has no tools: %v, %q", file, choice.Tools, choice.ToolsDiffer)
		}
	}
	render := func(messages []ollama.Message, tools []ollama.Tool) (string, error) {
		var b bytes.Buffer
		for _, tool := range tools {
			b.WriteString("tool: " + tool.Function.Name + "\n")
		}
		for _, m := range messages {
			b.WriteString("<|im_start|>" + m.Role + "\n" + m.Content + "<|im_end|>\n")
		}
		return b.String() + "<|im_start|>assistant\n", nil
	}
	choice, ok := ollama.Choose("<|im_start|>", render, ollama.FIM{})
	if !ok || choice.Differs != "" || choice.Tools || !strings.Contains(choice.ToolsDiffer, "left out") {
		t.Errorf("%+v", choice)
	}
	choice, ok = ollama.Choose("<|im_start|> <tool_call>", render, ollama.FIM{})
	if !ok || choice.Differs != "" || choice.ToolsDiffer == "" {
		t.Errorf("%+v", choice)
	}
}
