package serve

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// roles are those that OpenAI knows, as chat templates spell them.
var roles = map[string]string{"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool"}

const mostMessages = 4096

// readMessages gives messages the shape that chat templates are written for:
// content a string, call arguments an object, absent what is null.
func readMessages(f *fields) []any {
	raw, ok := f.take("messages")
	if !ok {
		f.fail(badParam("messages", "messages: a list of messages is needed"))
		return nil
	}
	v, err := jinja.DecodeJSON(raw)
	list, ok := v.([]any)
	switch {
	case err != nil || !ok:
		f.fail(badParam("messages", "messages: want a list of messages"))
		return nil
	case len(list) == 0:
		f.fail(badParam("messages", "messages: the list is empty"))
		return nil
	case len(list) > mostMessages:
		f.fail(badParam("messages", "messages: %d are more than the %d that this server takes", len(list), mostMessages))
		return nil
	}
	out := make([]any, len(list))
	for i, m := range list {
		if out[i], err = readMessage(m); err != nil {
			f.fail(badParam(fmt.Sprintf("messages[%d]", i), "messages[%d]: %v", i, err))
			return nil
		}
	}
	return out
}

func readMessage(v any) (*jinja.Dict, error) {
	d, ok := v.(*jinja.Dict)
	if !ok {
		return nil, fmt.Errorf("want an object")
	}
	role, _ := d.Get("role")
	spelled, _ := role.(string)
	known, ok := roles[spelled]
	if !ok {
		return nil, fmt.Errorf("role: want system, developer, user, assistant or tool")
	}
	out := jinja.NewDict()
	out.Set("role", known)
	content, err := readContent(d)
	if err != nil {
		return nil, err
	}
	out.Set("content", content)
	for _, key := range []string{"name", "tool_call_id", "reasoning_content"} {
		if text, ok := d.Get(key); ok && text != nil {
			if _, isText := text.(string); !isText {
				return nil, fmt.Errorf("%s: want a string", key)
			}
			out.Set(key, text)
		}
	}
	calls, err := readCalls(d)
	if err != nil {
		return nil, err
	}
	if len(calls) > 0 {
		out.Set("tool_calls", calls)
	}
	if c, _ := d.Get("content"); c == nil && len(calls) == 0 {
		return nil, fmt.Errorf("content: want a string or a list of text parts")
	}
	return out, nil
}

// readContent joins the text parts of a message.
func readContent(d *jinja.Dict) (string, error) {
	content, _ := d.Get("content")
	switch c := content.(type) {
	case nil:
		return "", nil
	case string:
		return c, nil
	case []any:
		var b strings.Builder
		for i, part := range c {
			p, ok := part.(*jinja.Dict)
			if !ok {
				return "", fmt.Errorf("content[%d]: want an object", i)
			}
			kind, _ := p.Get("type")
			text, ok := p.Get("text")
			s, isText := text.(string)
			if kind != "text" || !ok || !isText {
				return "", fmt.Errorf("content[%d]: only parts of type text can be read by this model", i)
			}
			b.WriteString(s)
		}
		return b.String(), nil
	}
	return "", fmt.Errorf("content: want a string or a list of text parts")
}

// readCalls turns the arguments of calls, which are JSON text, into objects.
func readCalls(d *jinja.Dict) ([]any, error) {
	v, _ := d.Get("tool_calls")
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("tool_calls: want a list")
	}
	out := make([]any, len(list))
	for i, item := range list {
		call, _ := item.(*jinja.Dict)
		if call == nil {
			return nil, fmt.Errorf("tool_calls[%d]: want an object", i)
		}
		f, _ := call.Get("function")
		function, _ := f.(*jinja.Dict)
		if function == nil {
			return nil, fmt.Errorf("tool_calls[%d]: want a function", i)
		}
		if name, _ := function.Get("name"); name == nil || name == "" {
			return nil, fmt.Errorf("tool_calls[%d]: the function has no name", i)
		}
		args, _ := function.Get("arguments")
		if text, ok := args.(string); ok {
			if parsed, err := jinja.DecodeJSON([]byte(text)); err == nil {
				function = function.With("arguments", parsed)
			}
		}
		out[i] = call.With("function", function)
	}
	return out, nil
}

// tool is a function that the model may call.
type tool struct {
	name   string
	schema json.RawMessage // of its parameters; nil for none
}

const mostTools = 128

// readTools takes tools for parsing, and as the template shall see them.
func readTools(f *fields) (tools []tool, forTemplate any) {
	raw, ok := f.take("tools")
	if !ok {
		return nil, nil
	}
	var list []struct {
		Type     string `json:"type"`
		Function struct {
			Name       string          `json:"name"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"function"`
	}
	if err := json.Unmarshal(raw, &list); err != nil || len(list) > mostTools {
		f.fail(badParam("tools", "tools: want a list of at most %d functions", mostTools))
		return nil, nil
	}
	for i, t := range list {
		if t.Type != "function" || !validName(t.Function.Name) {
			f.fail(badParam("tools", "tools[%d]: want type function and a name of letters, digits, dashes and underscores", i))
			return nil, nil
		}
		if p := t.Function.Parameters; p != nil && !isObject(p) && string(p) != "null" {
			f.fail(badParam("tools", "tools[%d]: parameters are not an object", i))
			return nil, nil
		}
		tools = append(tools, tool{t.Function.Name, t.Function.Parameters})
	}
	if len(tools) == 0 {
		return nil, nil
	}
	forTemplate, err := jinja.DecodeJSON(raw)
	if err != nil {
		f.fail(badParam("tools", "tools: nested too deeply"))
	}
	return tools, forTemplate
}

func validName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}
