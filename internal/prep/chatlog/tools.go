package chatlog

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// tool is a function that the model may call.
type tool struct {
	name string
	json json.RawMessage // {"type":"function","function":{...}} on one line
}

// declaredTools reads a list of tools in the shape of the Messages API or of
// chat templates. servers counts those without a schema, which the service
// runs itself.
func declaredTools(raw []byte) (tools []tool, servers int) {
	for a := scan.Items(raw); a.Next(); {
		if t, ok := declared(a.Value); ok {
			tools = append(tools, t)
		} else {
			servers++
		}
	}
	return tools, servers
}

func declared(raw []byte) (t tool, ok bool) {
	if inner := member(raw, "function"); inner != nil {
		raw = inner
	}
	var name string
	var description, schema []byte
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "name":
			name = scan.Text(o.Value)
		case "description":
			description = o.Value
		case "input_schema", "parameters":
			schema = o.Value
		}
	}
	if name == "" || scan.Kind(schema) != '{' {
		return t, false
	}
	if scan.Kind(description) != '"' {
		description = []byte(`""`)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"type":"function","function":{"name":%s,"description":`, scan.AppendQuoted(nil, name))
	if json.Compact(&b, description) != nil {
		return t, false
	}
	b.WriteString(`,"parameters":`)
	if json.Compact(&b, schema) != nil {
		return t, false
	}
	b.WriteString("}}")
	return tool{name, b.Bytes()}, true
}

// ParseTools reads a file of tools, a JSON list.
func ParseTools(text []byte) ([]json.RawMessage, error) {
	if !scan.Valid(text) || scan.Kind(text) != '[' {
		return nil, fmt.Errorf("tools: %w", errNotList)
	}
	tools, rest := declaredTools(bytes.TrimSpace(text))
	if rest > 0 {
		return nil, fmt.Errorf("tools: %s without a name or a schema (input_schema or parameters)", count(rest, "tool"))
	}
	var out []json.RawMessage
	for _, t := range tools {
		out = append(out, t.json)
	}
	return out, nil
}
