package ollama

import (
	"embed"
	"encoding/json"
	"strings"
	"text/template"
)

//go:embed templates/*.gotmpl
var files embed.FS

// family is a form of prompts with the texts at which a model must stop.
type family struct {
	name  string
	marks []string // all are in a chat template of the family
	files []string // without .gotmpl; the first that agrees with the chat template is taken
	stop  []string
}

// families are tried in this order.
var families = []family{
	{"Qwen3", []string{"<|im_start|>", "<tool_call>", "<think>"}, []string{"qwen3", "qwen2.5"}, chatMLStop},
	{"Qwen2.5", []string{"<|im_start|>", "<tool_call>"}, []string{"qwen2.5", "chatml"}, chatMLStop},
	{"ChatML", []string{"<|im_start|>"}, []string{"chatml"}, chatMLStop},
	{"Llama 3", []string{"<|start_header_id|>"}, []string{"llama3", "llama3.1"}, []string{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
	{"Gemma", []string{"<start_of_turn>"}, []string{"gemma"}, []string{"<start_of_turn>", "<end_of_turn>"}},
	{"Mistral", []string{"[INST]"}, []string{"mistral", "mistral-v1", "mistral-tekken"}, []string{"[INST]", "[/INST]"}},
}

var chatMLStop = []string{"<|im_start|>", "<|im_end|>", "<|endoftext|>"}

// Message is one turn of a chat.
type Message struct{ Role, Content string }

// Render writes messages as a model sees them, by its own chat template, with
// the turn of the assistant opened at the end. The token that begins a text,
// which Ollama adds by itself, is left out.
type Render func(messages []Message) (string, error)

// Choice is the template chosen for a model.
type Choice struct {
	Family   string
	Template string
	Stop     []string
	System   string // what the model's own template says where a chat brings no system message
	// Differs says how plain chats differ from the model's own template, empty
	// when they do not.
	Differs string
}

// FIM are the texts of the tokens around a gap; the zero value is for models
// that have none.
type FIM struct{ Prefix, Suffix, Middle string }

// Choose finds the template in Ollama's language for a model whose chat
// template is chat, and renders plain chats with both. ok is false when chat
// is of no family that is known here.
func Choose(chat string, render Render, fim FIM) (c Choice, ok bool) {
	for _, f := range families {
		if !containsAll(chat, f.marks) {
			continue
		}
		c = Choice{Family: f.name, Stop: f.stop, System: defaultSystem(render)}
		for i, name := range f.files {
			body, _ := files.ReadFile("templates/" + name + ".gotmpl") // embedded, and named above
			text := strings.TrimSuffix(string(body), "\n")
			differs := compare(text, c.System, render)
			if i == 0 || differs == "" {
				c.Template, c.Differs = withFIM(text, fim), differs
			}
			if differs == "" {
				break
			}
		}
		return c, true
	}
	return c, false
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// withFIM puts the form of gaps in front: Ollama asks for it with a suffix.
func withFIM(text string, f FIM) string {
	if f.Prefix == "" || f.Suffix == "" || f.Middle == "" {
		return text
	}
	return "{{- if .Suffix }}" + f.Prefix + "{{ .Prompt }}" + f.Suffix + "{{ .Suffix }}" + f.Middle + "{{ else }}" + text + "{{- end }}"
}

// functions are those of Ollama's that the templates here call.
var functions = template.FuncMap{"json": func(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}}

// execute renders messages as Ollama does: it passes the system messages on
// their own too.
func execute(text string, messages []Message) (string, error) {
	t, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return "", err
	}
	var system []string
	for _, m := range messages {
		if m.Role == "system" {
			system = append(system, m.Content)
		}
	}
	list := make([]map[string]any, len(messages))
	for i, m := range messages {
		list[i] = map[string]any{"Role": m.Role, "Content": m.Content}
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{"System": strings.Join(system, "\n\n"), "Messages": list, "Response": ""})
	return b.String(), err
}
