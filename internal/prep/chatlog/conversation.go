package chatlog

import "encoding/json"

// Roles of a message.
const (
	RoleSystem    = "system"
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleTool      = "tool"
)

// Conversation is one record of the output: messages in the shape that chat
// templates take. A conversation starts with a user message (after an optional
// system message), every call is followed by its result, and no result stands
// without its call.
type Conversation struct {
	Messages  []Message         `json:"messages"`
	Tools     []json.RawMessage `json:"tools,omitempty"`
	Source    string            `json:"source"`           // path of the log, relative to the folder searched
	Session   string            `json:"session"`          // the session's own id
	Segment   int               `json:"segment"`          // place among the contexts of the session, from 0
	Window    int               `json:"window,omitempty"` // place among the windows of the segment, from 0
	Group     string            `json:"group"`            // one id for all sessions that share history
	Sidechain bool              `json:"sidechain,omitempty"`

	system   string // of the session or the options; the first message once finished
	declared []tool // of the session or the options
}

// Message is one turn. Content is never null. Train is false on an assistant
// message that is context only: cut short, refused by the person, or trained
// in another conversation.
type Message struct {
	Role       string `json:"role"`
	Content    string `json:"content"`
	Reasoning  string `json:"reasoning_content,omitempty"`
	ToolCalls  []Call `json:"tool_calls,omitempty"`
	ToolCallID string `json:"tool_call_id,omitempty"`
	Name       string `json:"name,omitempty"` // of the tool, on a result
	Train      *bool  `json:"train,omitempty"`

	keys    []string // responses that an assistant message was made from
	heldFor string   // why Train is false
	result  clip     // of a tool; becomes Content at the end
}

// Call is a call of a function.
type Call struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"` // always "function"
	Function Function `json:"function"`
}

// Function names what is called. Arguments is a JSON object, or with ArgsString
// its text as a JSON string.
type Function struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

// trained tells whether loss falls on m.
func (m *Message) trained() bool {
	return m.Role == RoleAssistant && (m.Train == nil || *m.Train)
}

// hold makes m context only; the first reason stays.
func (m *Message) hold(reason string) {
	if m.trained() {
		no := false
		m.Train, m.heldFor = &no, reason
	}
}

// trainedReplies counts the messages of c that loss falls on.
func (c *Conversation) trainedReplies() int {
	n := 0
	for i := range c.Messages {
		if c.Messages[i].trained() {
			n++
		}
	}
	return n
}
