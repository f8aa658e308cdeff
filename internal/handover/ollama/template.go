package ollama

import (
	"embed"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"text/template"
	"time"
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
	{"Llama 3", []string{"<|start_header_id|>"}, []string{"llama3", "llama3.1-user", "llama3.1-system", "llama3.1"}, []string{"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
	{"Gemma", []string{"<start_of_turn>"}, []string{"gemma"}, []string{"<start_of_turn>", "<end_of_turn>"}},
	{"Mistral", []string{"[INST]"}, []string{"mistral-tools", "mistral", "mistral-v1", "mistral-tekken"}, []string{"[INST]", "[/INST]"}},
}

// toolHeads are the texts after which the words about tools stand, for the
// templates that take those words from the model's own.
var toolHeads = map[string]string{
	"llama3.1-user":   "<|start_header_id|>user<|end_header_id|>\n\n",
	"llama3.1-system": "Today Date: 26 Jul 2024\n\n",
}

var chatMLStop = []string{"<|im_start|>", "<|im_end|>", "<|endoftext|>"}

// Render writes a chat as a model sees it, by its own chat template, with the
// turn of the assistant opened at the end. The token that begins a text, which
// Ollama adds by itself, is left out.
type Render func(messages []Message, tools []Tool) (string, error)

// Choice is the template chosen for a model.
type Choice struct {
	Family   string
	Template string
	Stop     []string
	System   string // what the model's own template says where a chat brings no system message
	// Differs says how plain chats differ from the model's own template, empty
	// when they do not.
	Differs string
	Tools   bool // the template writes tools, their calls and results
	// ToolsDiffer says how chats with tools differ from the model's own
	// template, or that they are left out; empty when all is the same.
	ToolsDiffer string
}

// Day is the date in the templates of families that write one. It is what
// Llama's write when they are told none.
var Day = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// FIM are the texts of the tokens around a gap; the zero value is for models
// that have none.
type FIM struct{ Prefix, Suffix, Middle string }

// Choose finds the template in Ollama's language for a model whose chat
// template is chat, and renders chats, without tools and with them, by both. ok
// is false when chat is of no family that is known here.
func Choose(chat string, render Render, fim FIM) (best Choice, ok bool) {
	for _, f := range families {
		if !containsAll(chat, f.marks) {
			continue
		}
		base := Choice{Family: f.name, Stop: f.stop, System: defaultSystem(render)}
		knowsTools := writesTools(render)
		for _, name := range f.files {
			text, found := load(name, render)
			if !found {
				continue
			}
			c := base.judge(text, knowsTools, render)
			if !ok || c.rank() > best.rank() {
				best, ok = c, true
			}
		}
		best.Template = withFIM(best.Template, fim)
		return best, true
	}
	return best, false
}

// judge tries a template on the probes. knowsTools tells that the model's own
// writes tools.
func (c Choice) judge(text string, knowsTools bool, render Render) Choice {
	c.Template, c.Tools = text, strings.Contains(text, ".Tools")
	if err := compare(text, c.System, render, plain); err != nil && !errors.Is(err, errUnasked) {
		c.Differs = err.Error()
	}
	switch err := compare(text, c.System, render, withTools); {
	case !knowsTools && c.Tools:
		c.ToolsDiffer = "the model's own has none"
	case !knowsTools:
	case !c.Tools:
		c.ToolsDiffer = "they are left out"
	case err != nil:
		c.ToolsDiffer = err.Error()
	}
	return c
}

// rank orders templates: what plain chats need first.
func (c Choice) rank() (n int) {
	if c.Differs == "" {
		n += 2
	}
	if c.ToolsDiffer == "" {
		n++
	}
	return n
}

// load reads a template and fills in the words around tools. found is false
// when it needs words that the model's own template does not have.
func load(name string, render Render) (text string, found bool) {
	body, _ := files.ReadFile("templates/" + name + ".gotmpl") // embedded, and named above
	text = strings.TrimSuffix(string(body), "\n")
	head, needed := toolHeads[name]
	if !needed {
		return text, true
	}
	before, between, after, found := toolWords(head, render)
	return strings.NewReplacer("{{ BEFORE }}", action(before), "{{ BETWEEN }}", action(between), "{{ AFTER }}", action(after)).Replace(text), found
}

// action spells text so that a template writes it as it is.
func action(text string) string { return "{{ " + strconv.Quote(text) + " }}" }

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

// functions are those that Ollama's templates may call. Only json is called by
// those here; the others are for Parse.
var functions = template.FuncMap{
	"json": func(v any) (string, error) {
		text, err := json.Marshal(v)
		return string(text), err
	},
	"currentDate":      func(...string) string { return "" },
	"yesterdayDate":    func(...string) string { return "" },
	"toTypeScriptType": func(any) string { return "" },
}

// Parse tells whether Ollama can read text as a template.
func Parse(text string) error {
	_, err := template.New("template").Funcs(functions).Parse(text)
	return err
}

// execute renders messages as Ollama does: it passes the system messages on
// their own too.
func execute(text string, messages []Message, offered []Tool) (string, error) {
	t, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return "", err
	}
	var system []string
	list := make([]map[string]any, len(messages))
	for i, m := range messages {
		if m.Role == "system" {
			system = append(system, m.Content)
		}
		list[i] = map[string]any{"Role": m.Role, "Content": m.Content, "ToolCalls": m.Calls, "ToolCallID": m.CallID}
	}
	var b strings.Builder
	err = t.Execute(&b, map[string]any{"System": strings.Join(system, "\n\n"), "Messages": list, "Tools": tools(offered), "Response": ""})
	return b.String(), err
}
