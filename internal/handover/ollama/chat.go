package ollama

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Message is one turn of a chat, in the form of OpenAI's API.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
	Calls   []Call `json:"tool_calls,omitempty"`   // of an assistant
	CallID  string `json:"tool_call_id,omitempty"` // that a tool answers
}

// Call is a call of a tool.
type Call struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function CallFunction `json:"function"`
}

// CallFunction is what is called, and with what.
type CallFunction struct {
	Name      string    `json:"name"`
	Arguments arguments `json:"arguments"`
}

// arguments print as JSON, as Ollama's do.
type arguments map[string]any

func (a arguments) String() string { return jsonText(map[string]any(a)) }

// Tool is a function that a model may call. Its fields stand in the order in
// which Ollama writes them.
type Tool struct {
	Type     string   `json:"type"`
	Function Function `json:"function"`
}

// Function says what a tool does and takes.
type Function struct {
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Parameters  Parameters `json:"parameters"`
}

// Parameters are the schema of what a tool takes.
type Parameters struct {
	Type       string              `json:"type"`
	Required   []string            `json:"required,omitempty"`
	Properties map[string]Property `json:"properties"`
}

// Property is one parameter.
type Property struct {
	Type        string `json:"type"`
	Description string `json:"description,omitempty"`
}

// tools print as JSON, as Ollama's do.
type tools []Tool

func (t tools) String() string { return jsonText([]Tool(t)) }

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// compact writes every JSON object and list in text without spaces, which is
// the one spelling of JSON that Ollama has.
func compact(text string) string {
	var b strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "{[")
		if at < 0 {
			break
		}
		b.WriteString(text[:at])
		text = text[at:]
		decoder := json.NewDecoder(strings.NewReader(text))
		var raw json.RawMessage
		var short bytes.Buffer
		if decoder.Decode(&raw) != nil || json.Compact(&short, raw) != nil {
			b.WriteByte(text[0])
			text = text[1:]
			continue
		}
		b.Write(short.Bytes())
		text = text[decoder.InputOffset():]
	}
	return b.String() + text
}
