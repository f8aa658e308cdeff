package dataset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

func messagesChat(d *jinja.Dict) (*chat, error) {
	v, _ := d.Get("messages")
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("messages is not a list")
	}
	messages, err := normaliseMessages(list)
	if err != nil {
		return nil, err
	}
	tools, err := readTools(d)
	return &chat{messages: messages, tools: tools}, err
}

func normaliseMessages(list []any) ([]any, error) {
	if len(list) == 0 {
		return nil, errors.New("no messages")
	}
	out := make([]any, len(list))
	for i, v := range list {
		d, ok := v.(*jinja.Dict)
		if !ok {
			return nil, fmt.Errorf("message %d is not an object", i+1)
		}
		m, err := normaliseMessage(d)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i+1, err)
		}
		out[i] = m
	}
	return out, nil
}

// normaliseMessage gives a message the shape that chat templates are written
// for: content a string, call arguments an object, and no key whose value is
// null or an empty list of calls, since templates test for presence.
func normaliseMessage(d *jinja.Dict) (*jinja.Dict, error) {
	if role, ok := d.Get("role"); !ok {
		return nil, errors.New("has no role")
	} else if s, ok := role.(string); !ok || s == "" {
		return nil, errors.New("role is not a string")
	}
	out := jinja.NewDict()
	for _, key := range d.Keys() {
		v, _ := d.Get(key)
		var err error
		switch key {
		case "content":
			v, err = contentText(v)
		case "tool_calls":
			v, err = normaliseCalls(v)
		}
		if err != nil {
			return nil, err
		}
		if v != nil {
			out.Set(key, v)
		}
	}
	if !has(out, "content") {
		if !has(out, "tool_calls") {
			return nil, errors.New("has neither content nor tool_calls")
		}
		out.Set("content", "")
	}
	return out, nil
}

// contentText joins the text parts of a message. Null is no content.
func contentText(v any) (any, error) {
	switch c := v.(type) {
	case nil, string:
		return c, nil
	case []any:
		var b strings.Builder
		for i, part := range c {
			text, err := partText(part)
			if err != nil {
				return nil, fmt.Errorf("content part %d: %w", i+1, err)
			}
			b.WriteString(text)
		}
		return b.String(), nil
	}
	return nil, errors.New("content is neither a string nor a list of parts")
}

func partText(part any) (string, error) {
	if s, ok := part.(string); ok {
		return s, nil
	}
	d, ok := part.(*jinja.Dict)
	if !ok {
		return "", errors.New("not an object")
	}
	if kind, ok := d.Get("type"); ok && kind != "text" {
		return "", fmt.Errorf("type %v cannot be trained on, only text", kind)
	}
	text, _ := d.Get("text")
	s, ok := text.(string)
	if !ok {
		return "", errors.New("has no text")
	}
	return s, nil
}

// normaliseCalls accepts calls as {"function": {...}} or bare, and arguments
// as an object or as its JSON text.
func normaliseCalls(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("tool_calls is not a list")
	}
	if len(list) == 0 {
		return nil, nil
	}
	out := make([]any, len(list))
	for i, c := range list {
		call, ok := c.(*jinja.Dict)
		if !ok {
			return nil, fmt.Errorf("tool call %d is not an object", i+1)
		}
		normal, err := normaliseCall(call)
		if err != nil {
			return nil, fmt.Errorf("tool call %d: %w", i+1, err)
		}
		out[i] = normal
	}
	return out, nil
}

func normaliseCall(call *jinja.Dict) (*jinja.Dict, error) {
	f, wrapped := call.Get("function")
	function, ok := f.(*jinja.Dict)
	if !wrapped {
		function, ok = call, true
	}
	if !ok {
		return nil, errors.New("function is not an object")
	}
	name, _ := function.Get("name")
	if s, ok := name.(string); !ok || s == "" {
		return nil, errors.New("has no name")
	}
	args, _ := function.Get("arguments")
	switch a := args.(type) {
	case nil:
		function = function.With("arguments", jinja.NewDict())
	case string:
		if parsed, err := jinja.DecodeJSON([]byte(a)); err == nil {
			if _, isObject := parsed.(*jinja.Dict); isObject {
				function = function.With("arguments", parsed)
			}
		}
	}
	if wrapped {
		return call.With("function", function), nil
	}
	out := jinja.NewDict()
	out.Set("type", "function")
	out.Set("function", function)
	return out, nil
}

// readTools takes tools as a list or as its JSON text.
func readTools(d *jinja.Dict) (any, error) {
	v, _ := d.Get("tools")
	if s, ok := v.(string); ok {
		if strings.TrimSpace(s) == "" {
			return nil, nil
		}
		var err error
		if v, err = jinja.DecodeJSON([]byte(s)); err != nil {
			return nil, fmt.Errorf("tools is a string that is not JSON: %w", err)
		}
	}
	switch tools := v.(type) {
	case nil:
		return nil, nil
	case []any:
		if len(tools) == 0 {
			return nil, nil
		}
		return tools, nil
	}
	return nil, errors.New("tools is not a list")
}

// shareGPTRoles maps the speakers of ShareGPT files to roles.
var shareGPTRoles = map[string]string{
	"system": "system", "human": "user", "user": "user",
	"gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
	"tool": "tool", "observation": "tool", "function_response": "tool",
	"function_call": "function_call",
}

func shareGPTChat(d *jinja.Dict) (*chat, error) {
	v, _ := d.Get("conversations")
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("conversations is not a list")
	}
	var turns []any
	if system, ok := d.Get("system"); ok && system != nil && system != "" {
		turns = append(turns, message("system", system))
	}
	for i, t := range list {
		turn, ok := t.(*jinja.Dict)
		if !ok {
			return nil, fmt.Errorf("turn %d is not an object", i+1)
		}
		m, err := shareGPTTurn(turn)
		if err != nil {
			return nil, fmt.Errorf("turn %d: %w", i+1, err)
		}
		turns = append(turns, m)
	}
	messages, err := normaliseMessages(turns)
	if err != nil {
		return nil, err
	}
	tools, err := readTools(d)
	return &chat{messages: messages, tools: tools}, err
}

func shareGPTTurn(turn *jinja.Dict) (*jinja.Dict, error) {
	if has(turn, "role") { // the newer shape inside the older key
		return turn, nil
	}
	from, _ := turn.Get("from")
	speaker, _ := from.(string)
	role, known := shareGPTRoles[strings.ToLower(speaker)]
	if !known {
		return nil, fmt.Errorf("speaker %q is not known", speaker)
	}
	value, _ := turn.Get("value")
	if role != "function_call" {
		m := message(role, value)
		for _, key := range []string{"train", "weight"} {
			if v, ok := turn.Get(key); ok {
				m.Set(key, v)
			}
		}
		return m, nil
	}
	text, _ := value.(string)
	parsed, err := jinja.DecodeJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("function_call is not JSON: %w", err)
	}
	calls, ok := parsed.([]any)
	if !ok {
		calls = []any{parsed}
	}
	m := message("assistant", "")
	m.Set("tool_calls", calls)
	return m, nil
}

func message(role string, content any) *jinja.Dict {
	m := jinja.NewDict()
	m.Set("role", role)
	m.Set("content", content)
	return m
}

// alpacaChat makes a user turn of instruction and input, joined by a newline,
// after the system prompt and the history the record may carry.
func alpacaChat(d *jinja.Dict) (*chat, error) {
	var instruction, input, output, system string
	fields := map[string]*string{"instruction": &instruction, "output": &output}
	for key, to := range map[string]*string{"input": &input, "system": &system} {
		if has(d, key) {
			fields[key] = to
		}
	}
	if err := readStrings(d, fields); err != nil {
		return nil, err
	}
	if output == "" {
		return nil, errors.New("output is empty")
	}
	var messages []any
	if system != "" {
		messages = append(messages, message("system", system))
	}
	history, err := alpacaHistory(d)
	if err != nil {
		return nil, err
	}
	messages = append(messages, history...)
	if input != "" {
		instruction += "\n" + input
	}
	messages = append(messages, message("user", instruction), message("assistant", output))
	return &chat{messages: messages}, nil
}

func alpacaHistory(d *jinja.Dict) ([]any, error) {
	v, _ := d.Get("history")
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("history is not a list")
	}
	var messages []any
	for i, pair := range list {
		p, ok := pair.([]any)
		if !ok || len(p) != 2 {
			return nil, fmt.Errorf("history %d is not a pair of question and answer", i+1)
		}
		for k, role := range []string{"user", "assistant"} {
			text, ok := p[k].(string)
			if !ok {
				return nil, fmt.Errorf("history %d: %s turn is not a string", i+1, role)
			}
			messages = append(messages, message(role, text))
		}
	}
	return messages, nil
}
