package ollama_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ollama/ollama/api"
	"github.com/ollama/ollama/template"
	"github.com/ollama/ollama/thinking"
	"github.com/ollama/ollama/tools"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/handover/ollama"
)

var eos = map[string]string{"bos_token": "", "eos_token": "</s>"}

// chatTemplate is a model's own template: one of those that package dataset is
// tested on, or a built-in one.
func chatTemplate(t *testing.T, name string) (text string, render ollama.Render) {
	t.Helper()
	var path string
	var data []byte
	err := os.ErrNotExist
	for _, dir := range []string{"testdata/", "../../dataset/testdata/templates/", "../../dataset/templates/"} {
		if err != nil {
			path = dir + name
			data, err = os.ReadFile(path)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	tpl, err := dataset.ChooseTemplate(path, "", "", time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	return string(data), func(messages []ollama.Message, tools []ollama.Tool) (string, error) {
		var offered []byte
		if tools != nil {
			offered = mustJSON(t, tools)
		}
		return tpl.RenderChat(mustJSON(t, messages), offered, eos)
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// byOllama renders with Ollama's own package.
func byOllama(t *testing.T, text string, v template.Values) string {
	t.Helper()
	tpl, err := template.Parse(text)
	if err != nil {
		t.Fatalf("Ollama refuses the template: %v\n%s", err, text)
	}
	var b strings.Builder
	if err := tpl.Execute(&b, v); err != nil {
		t.Fatalf("Ollama cannot run the template: %v\n%s", err, text)
	}
	return b.String()
}

var cases = []struct{ file, family, system string }{
	{"qwen2.5.jinja", "Qwen2.5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
	{"qwen3.jinja", "Qwen3", ""},
	{"smollm2.jinja", "ChatML", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
	{"chatml.jinja", "ChatML", ""},
	{"llama3.jinja", "Llama 3", ""},
	{"llama3.1.jinja", "Llama 3", ""},
	{"llama3.1-user.jinja", "Llama 3", ""},
	{"mistral-v0.3.jinja", "Mistral", ""},
	{"mistral.jinja", "Mistral", ""},
	{"gemma.jinja", "Gemma", ""},
}

func TestOllamaWritesChatsAsTheModelDoes(t *testing.T) {
	chats := [][]ollama.Message{
		{{Role: "user", Content: "What is 2+2?"}},
		{{Role: "system", Content: "Be brief."}, {Role: "user", Content: "What is\n2+2?"}},
		{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b"}, {Role: "user", Content: "c"}},
		{{Role: "system", Content: "{{ s }}"}, {Role: "user", Content: "<b>\"q\"</b>"}, {Role: "assistant", Content: "b\n\n```go\nx := 1\n```"}, {Role: "user", Content: "c"}, {Role: "assistant", Content: "d"}, {Role: "user", Content: "e"}},
	}
	for _, c := range cases {
		text, render := chatTemplate(t, c.file)
		choice, ok := ollama.Choose(text, render, ollama.FIM{})
		if !ok || choice.Family != c.family || choice.System != c.system || choice.Differs != "" {
			t.Errorf("%s: family %q, system %q, differs: %s", c.file, choice.Family, choice.System, choice.Differs)
			continue
		}
		for _, chat := range chats {
			want, err := render(chat, nil)
			if err != nil {
				t.Fatalf("%s: %v", c.file, err)
			}
			if choice.System != "" && chat[0].Role != "system" {
				chat = append([]ollama.Message{{Role: "system", Content: choice.System}}, chat...)
			}
			var messages []api.Message
			for _, m := range chat {
				messages = append(messages, api.Message{Role: m.Role, Content: m.Content})
			}
			if got := byOllama(t, choice.Template, template.Values{Messages: messages}); got != want {
				t.Errorf("%s: Ollama writes\n%q, want\n%q", c.file, got, want)
			}
		}
	}
}

// toolChat has calls and their results, one answer with two.
const toolChat = `[{"role":"user","content":"weather?"},
{"role":"assistant","content":"I look.","tool_calls":[{"function":{"name":"w","arguments":{"city":"Oslo"}}},{"function":{"name":"w","arguments":{"city":"Rome"}}}]},
{"role":"tool","content":"rain"},{"role":"tool","content":"sun"},
{"role":"assistant","content":"","tool_calls":[{"function":{"name":"now","arguments":{}}}]},
{"role":"tool","content":"noon"}]`

func TestOllamaWritesToolCallsAsQwenDoes(t *testing.T) {
	var messages []api.Message
	if err := json.Unmarshal([]byte(toolChat), &messages); err != nil {
		t.Fatal(err)
	}
	const want = "<|im_start|>user\nweather?<|im_end|>\n<|im_start|>assistant\nI look.\n" +
		"<tool_call>\n{\"name\": \"w\", \"arguments\": {\"city\":\"Oslo\"}}\n</tool_call>\n" +
		"<tool_call>\n{\"name\": \"w\", \"arguments\": {\"city\":\"Rome\"}}\n</tool_call><|im_end|>\n" +
		"<|im_start|>user\n<tool_response>\nrain\n</tool_response>\n<tool_response>\nsun\n</tool_response><|im_end|>\n" +
		"<|im_start|>assistant\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call><|im_end|>\n" +
		"<|im_start|>user\n<tool_response>\nnoon\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
	for _, file := range []string{"qwen2.5.jinja", "qwen3.jinja"} {
		text, render := chatTemplate(t, file)
		choice, _ := ollama.Choose(text, render, ollama.FIM{})
		if got := byOllama(t, choice.Template, template.Values{Messages: messages}); got != want {
			t.Errorf("%s:\n%q, want\n%q", file, got, want)
		}
		tools := api.Tools{{Type: "function", Function: api.ToolFunction{Name: "w", Description: "weather"}}}
		got := byOllama(t, choice.Template, template.Values{Messages: messages[:1], Tools: tools})
		if !strings.HasPrefix(got, "<|im_start|>system\n# Tools\n\n") || !strings.Contains(got, "\n<tools>\n{\"type\":\"function\"") ||
			!strings.Contains(got, "</tool_call><|im_end|>\n<|im_start|>user\n") {
			t.Errorf("%s, tools:\n%s", file, got)
		}
	}
}

func TestOllamaFindsCallsAndThoughts(t *testing.T) {
	for _, file := range []string{"qwen2.5.jinja", "qwen3.jinja"} {
		text, render := chatTemplate(t, file)
		choice, _ := ollama.Choose(text, render, ollama.FIM{Prefix: "<a>", Suffix: "<b>", Middle: "<c>"})
		tpl, err := template.Parse(choice.Template)
		if err != nil {
			t.Fatal(err)
		}
		parser := tools.NewParser(tpl.Template, api.Tools{{Type: "function", Function: api.ToolFunction{Name: "w"}}})
		calls, content := parser.Add("Looking.\n<tool_call>\n{\"name\": \"w\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>")
		if len(calls) != 1 || calls[0].Function.Name != "w" || strings.TrimSpace(content) != "Looking." {
			t.Errorf("%s: calls %v, content %q", file, calls, content)
		}
		open, end := thinking.InferTags(tpl.Template)
		if file == "qwen3.jinja" && (open != "<think>" || end != "</think>") {
			t.Errorf("%s: thoughts between %q and %q", file, open, end)
		}
	}
}

func TestOllamaContinuesAnAnswer(t *testing.T) {
	for _, c := range cases {
		text, render := chatTemplate(t, c.file)
		choice, _ := ollama.Choose(text, render, ollama.FIM{})
		got := byOllama(t, choice.Template, template.Values{Messages: []api.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "begun"}}})
		if !strings.HasSuffix(got, "begun") {
			t.Errorf("%s ends in %q, want the begun answer", c.file, got)
		}
	}
}

func TestOllamaFillsGaps(t *testing.T) {
	text, render := chatTemplate(t, "qwen2.5.jinja")
	choice, _ := ollama.Choose(text, render, ollama.FIM{Prefix: "<pre>", Suffix: "<suf>", Middle: "<mid>"})
	if got := byOllama(t, choice.Template, template.Values{Prompt: "func a", Suffix: "}"}); got != "<pre>func a<suf>}<mid>" {
		t.Errorf("a gap: %q", got)
	}
	got := byOllama(t, choice.Template, template.Values{Messages: []api.Message{{Role: "user", Content: "a"}}})
	if got != "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n" {
		t.Errorf("a chat: %q", got)
	}
}

func TestQwen3Thinks(t *testing.T) {
	text, render := chatTemplate(t, "qwen3.jinja")
	choice, _ := ollama.Choose(text, render, ollama.FIM{})
	ask := []api.Message{{Role: "user", Content: "a"}}
	if got := byOllama(t, choice.Template, template.Values{Messages: ask, IsThinkSet: true}); !strings.HasSuffix(got, "assistant\n<think>\n\n</think>\n\n") {
		t.Errorf("thinking switched off: %q", got)
	}
	messages := []api.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "b", Thinking: "old"}, {Role: "user", Content: "c"},
		{Role: "assistant", Content: "d", Thinking: "new"}, {Role: "tool", Content: "e"}}
	got := byOllama(t, choice.Template, template.Values{Messages: messages})
	if strings.Contains(got, "old") || !strings.Contains(got, "assistant\n<think>\nnew\n</think>\n\nd<|im_end|>") {
		t.Errorf("thoughts: %q", got)
	}
}

func TestUnlikeTemplatesAreTold(t *testing.T) {
	render := func(messages []ollama.Message, _ []ollama.Tool) (string, error) {
		return "<|im_start|>human\n" + messages[len(messages)-1].Content, nil
	}
	choice, ok := ollama.Choose("<|im_start|>", render, ollama.FIM{})
	if !ok || !strings.Contains(choice.Differs, "human") {
		t.Errorf("%v, differs: %q", ok, choice.Differs)
	}
	if _, ok := ollama.Choose("### Instruction:", render, ollama.FIM{}); ok {
		t.Error("a template of an unknown family was matched")
	}
}
