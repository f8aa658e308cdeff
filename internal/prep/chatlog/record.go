package chatlog

import "time"

// record is one line of a session file: a node of its graph, or metadata.
// Conversations of other inputs are brought into the same shape.
type record struct {
	Type          string
	Subtype       string
	UUID          string
	Parent        string
	LogicalParent string // across a compaction
	LeafUUID      string // of last-prompt and summary
	Session       string
	ForkedFrom    string // session that the record was copied from
	Folder        string // that the program worked in
	Thread        string // of a capture: the call that started the sub-agent
	Sidechain     bool
	Meta          bool
	Compact       bool
	Transcript    bool
	APIError      bool

	message *message // of user and assistant records; nil when unreadable
	queued  []block  // of an attachment that holds what the user typed meanwhile
	time    time.Time
	order   int // place in the file
}

// message is what went to or came from the model.
type message struct {
	ID         string // same for all records of one response
	Model      string
	StopReason string
	blocks     []block
}

// block is one piece of content.
type block struct {
	Type    string
	Text    string // text and thinking
	ID      string // tool_use
	Name    string // tool_use
	Input   []byte // tool_use: JSON
	Answers string // tool_result: id of the call
	Result  clip   // tool_result
}

const (
	typeUser       = "user"
	typeAssistant  = "assistant"
	typeAttachment = "attachment"
	typeSystem     = "system"
	typeLastPrompt = "last-prompt"

	blockText       = "text"
	blockThinking   = "thinking"
	blockToolUse    = "tool_use"
	blockToolResult = "tool_result"
	blockImage      = "image"
	blockDocument   = "document"
)

// isTalk tells whether the record carries words of a person or of the model.
func (r *record) isTalk() bool {
	return r.Type == typeUser || r.Type == typeAssistant || len(r.queued) > 0
}

// startsContext tells whether the model's context began anew at r.
func (r *record) startsContext() bool {
	return r.Compact || r.Type == typeSystem && r.Subtype == "compact_boundary"
}

// responseKey names the model response that an assistant record is part of.
func (r *record) responseKey() string {
	if r.message != nil && r.message.ID != "" {
		return r.message.ID
	}
	return r.UUID
}
