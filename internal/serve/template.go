package serve

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/qlora/qlora/internal/dataset/jinja"
	"github.com/qlora/qlora/internal/serve/engine"
)

// chatTemplate is a parsed template and the way in which its models call tools.
type chatTemplate struct {
	text   string
	parsed *jinja.Template
	err    error
	family toolFamily
	tools  bool // it knows how to show tools
}

// templates keeps the template that was parsed last: the model of a server
// changes only when its engine is started again with another file.
type templates struct {
	mu   sync.Mutex
	last *chatTemplate
}

func (t *templates) get(text string) *chatTemplate {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil || t.last.text != text {
		parsed, err := jinja.Parse(text, time.Now)
		t.last = &chatTemplate{text: text, parsed: parsed, err: err, family: familyOf(text), tools: strings.Contains(text, "tools")}
	}
	return t.last
}

// templateText is what the server was told to use, or the model's own.
func (s *Server) templateText(info engine.Info) string {
	if s.o.Template != "" {
		return s.o.Template
	}
	return info.Template
}

// template is the chat template of the model.
func (s *Server) template() (*chatTemplate, *apiError) {
	text := s.templateText(s.engine.Info())
	if text == "" {
		return nil, newError(http.StatusBadRequest, "messages", "no_chat_template",
			"the model has no chat template; ask for /v1/completions, or start the server with --chat-template")
	}
	t := s.templates.get(text)
	if t.err != nil {
		return nil, newError(http.StatusInternalServerError, "", "chat_template", "the model's chat template cannot be read: %v", t.err)
	}
	return t, nil
}

// render writes a conversation as the model shall see it, ready for its answer.
func (t *chatTemplate) render(info engine.Info, messages []any, tools any, extra map[string]any) (string, *apiError) {
	if tools != nil && !t.tools {
		messages = describeTools(messages, tools)
		tools = nil
	}
	if !t.tools {
		messages = flattenCalls(messages)
	}
	vars := map[string]any{}
	for name, v := range extra {
		vars[name] = v
	}
	vars["messages"], vars["tools"], vars["add_generation_prompt"] = messages, tools, true
	if info.BOS != "" {
		vars["bos_token"] = info.BOS
	}
	if info.EOS != "" {
		vars["eos_token"] = info.EOS
	}
	text, err := t.parsed.Render(vars)
	var raised *jinja.Raised
	switch {
	case errors.As(err, &raised):
		return "", badParam("messages", "the model's chat template refuses this conversation: %s", raised.Message)
	case err != nil:
		return "", badParam("messages", "the model's chat template cannot show this conversation: %v", err)
	}
	return text, nil
}

// describeTools tells a model whose template knows nothing of tools about them,
// in the way that most models were shown them.
func describeTools(messages []any, tools any) []any {
	var b strings.Builder
	b.WriteString("You may call functions. Their signatures are within <tools></tools>:\n<tools>\n")
	list, _ := tools.([]any)
	for _, t := range list {
		spelled, _ := jinja.EncodeJSON(t) // it was decoded from JSON
		b.WriteString(spelled + "\n")
	}
	b.WriteString("</tools>\nFor each call, write a JSON object with name and arguments within tags:\n" +
		"<tool_call>\n{\"name\": \"the function\", \"arguments\": {}}\n</tool_call>")
	first, _ := messages[0].(*jinja.Dict)
	if role, _ := first.Get("role"); role == "system" {
		content, _ := first.Get("content")
		return append([]any{first.With("content", fmt.Sprintf("%s\n\n%s", content, &b))}, messages[1:]...)
	}
	system := jinja.NewDict()
	system.Set("role", "system")
	system.Set("content", b.String())
	return append([]any{system}, messages...)
}

// flattenCalls writes calls and their results into the content, for templates
// that would leave them out.
func flattenCalls(messages []any) []any {
	out := make([]any, len(messages))
	for i, m := range messages {
		d := m.(*jinja.Dict)
		content, _ := d.Get("content")
		if role, _ := d.Get("role"); role == "tool" {
			d = d.With("role", "user").With("content", fmt.Sprintf("<tool_response>\n%s\n</tool_response>", content))
		}
		if calls, _ := d.Get("tool_calls"); calls != nil {
			text := content.(string)
			for _, call := range calls.([]any) {
				f, _ := call.(*jinja.Dict).Get("function")
				spelled, _ := jinja.EncodeJSON(f)
				text += "\n<tool_call>\n" + spelled + "\n</tool_call>"
			}
			d = d.With("content", strings.TrimPrefix(text, "\n"))
		}
		out[i] = d
	}
	return out
}
