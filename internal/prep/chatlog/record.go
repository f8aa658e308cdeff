package chatlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

// record is one line of a session file: a node of its graph, or metadata.
type record struct {
	Type          string          `json:"type"`
	Subtype       string          `json:"subtype"`
	UUID          string          `json:"uuid"`
	Parent        string          `json:"parentUuid"`
	LogicalParent string          `json:"logicalParentUuid"` // across a compaction
	LeafUUID      string          `json:"leafUuid"`          // of last-prompt and summary
	Session       string          `json:"sessionId"`
	Timestamp     string          `json:"timestamp"`
	Sidechain     bool            `json:"isSidechain"`
	Meta          bool            `json:"isMeta"`
	Compact       bool            `json:"isCompactSummary"`
	Transcript    bool            `json:"isVisibleInTranscriptOnly"`
	APIError      bool            `json:"isApiErrorMessage"`
	Body          json.RawMessage `json:"message"`
	Attached      json.RawMessage `json:"attachment"`
	ForkedFrom    *forkOrigin     `json:"forkedFrom"`

	message *message // of user and assistant records; nil when unreadable
	queued  []block  // of an attachment that holds what the user typed meanwhile
	time    time.Time
	order   int // place in the file
}

type forkOrigin struct {
	Session string `json:"sessionId"`
}

// message is what went to or came from the model.
type message struct {
	ID         string          `json:"id"` // same for all records of one response
	Model      string          `json:"model"`
	StopReason string          `json:"stop_reason"`
	Content    json.RawMessage `json:"content"`

	blocks []block
}

// block is one piece of content.
type block struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`          // tool_use
	Name      string          `json:"name"`        // tool_use
	Input     json.RawMessage `json:"input"`       // tool_use
	ToolUseID string          `json:"tool_use_id"` // tool_result
	Content   json.RawMessage `json:"content"`     // tool_result: text or blocks
}

const (
	typeUser       = "user"
	typeAssistant  = "assistant"
	typeAttachment = "attachment"
	typeSystem     = "system"
	typeLastPrompt = "last-prompt"

	blockText       = "text"
	blockToolUse    = "tool_use"
	blockToolResult = "tool_result"
	blockImage      = "image"
	blockDocument   = "document"
)

var errNotObject = errors.New("not a JSON object")

// parseRecord reads one line. What the message holds is read too; a message
// that cannot be understood leaves a node without content.
func parseRecord(line []byte) (*record, error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		if json.Valid(line) {
			return nil, errNotObject
		}
		return nil, json.Unmarshal(line, new(any))
	}
	r := new(record)
	if err := json.Unmarshal(line, r); err != nil {
		return nil, err
	}
	if t, err := time.Parse(time.RFC3339Nano, r.Timestamp); err == nil {
		r.time = t
	}
	switch r.Type {
	case typeUser, typeAssistant:
		r.message = parseMessage(r.Body)
	case typeAttachment:
		r.queued = parseQueued(r.Attached)
	}
	r.Body, r.Attached = nil, nil
	return r, nil
}

func parseMessage(body json.RawMessage) *message {
	m := new(message)
	if len(body) == 0 || json.Unmarshal(body, m) != nil {
		return nil
	}
	blocks, ok := parseContent(m.Content)
	if !ok {
		return nil
	}
	m.blocks, m.Content = blocks, nil
	return m
}

// parseQueued returns the prompt of a queued_command attachment: what the
// person typed while the model worked.
func parseQueued(body json.RawMessage) []block {
	var a struct {
		Type   string          `json:"type"`
		Prompt json.RawMessage `json:"prompt"`
	}
	if json.Unmarshal(body, &a) != nil || a.Type != "queued_command" {
		return nil
	}
	blocks, ok := parseContent(a.Prompt)
	if !ok {
		return nil
	}
	return blocks
}

// parseContent reads content that is a string, a list of blocks, or absent.
func parseContent(raw json.RawMessage) ([]block, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, true
	}
	if raw[0] == '"' {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return nil, false
		}
		return []block{{Type: blockText, Text: text}}, true
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	blocks := make([]block, 0, len(list))
	for _, item := range list {
		var b block
		var text string
		switch {
		case json.Unmarshal(item, &b) == nil:
			blocks = append(blocks, b)
		case json.Unmarshal(item, &text) == nil:
			blocks = append(blocks, block{Type: blockText, Text: text})
		default: // a type of block that reuses a name for something else
			blocks = append(blocks, block{Type: "unknown"})
		}
	}
	return blocks, true
}

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
