package chatlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// parser reads records. It keeps buffers from one record to the next and
// serves one goroutine.
type parser struct {
	// survey reads what the graph needs and leaves out what messages say.
	survey  bool
	limit   int      // bytes kept of a tool result, 0: all
	margin  int      // bytes beyond the cut that redaction wants to see
	tools   *toolbox // learns the arguments of calls; may be nil
	scratch []byte
	names   map[string]string // strings that come again: types, sessions, tools
}

func newParser(o *Options, survey bool) *parser {
	p := &parser{survey: survey, limit: o.ResultLimit, names: map[string]string{}}
	if o.Cleaner != nil {
		p.margin = redactMargin
	}
	if survey {
		p.tools = newToolbox()
	}
	return p
}

// maxNames bounds the strings that are kept for use again.
const maxNames = 4096

// name decodes a string that comes often, so that it is stored once.
func (p *parser) name(raw []byte) string {
	if have, ok := p.names[string(raw)]; ok {
		return have
	}
	text := scan.Text(raw)
	if len(p.names) < maxNames {
		p.names[string(raw)] = text
	}
	return text
}

var errNotObject = errors.New("not a JSON object")

// record reads one line. What the message holds is read too; a message that
// cannot be understood leaves a node without content. Members of a type that
// is not expected are passed over.
func (p *parser) record(line []byte) (*record, error) {
	r := new(record)
	var body, attached []byte
	o := scan.Members(line)
	for o.Next() {
		switch string(o.Key) {
		case "message":
			body = o.Value
		case "attachment":
			attached = o.Value
		default:
			p.envelope(r, o.Key, o.Value)
		}
	}
	if !o.OK() {
		return nil, explain(line)
	}
	switch r.Type {
	case typeUser, typeAssistant:
		r.message = p.message(body, r.Type == typeAssistant)
	case typeAttachment:
		r.queued = p.queued(attached)
	}
	return r, nil
}

// explain is what is wrong with a line, in the words of encoding/json.
func explain(line []byte) error {
	var any json.RawMessage
	if err := json.Unmarshal(line, &any); err != nil {
		return err
	}
	if scan.Kind(line) != '{' {
		return errNotObject
	}
	return errors.New("nested too deeply")
}

// envelope takes one member of a record.
func (p *parser) envelope(r *record, key, value []byte) {
	switch string(key) {
	case "type":
		r.Type = p.name(value)
	case "subtype":
		r.Subtype = p.name(value)
	case "uuid":
		r.UUID = scan.Text(value)
	case "parentUuid":
		r.Parent = scan.Text(value)
	case "logicalParentUuid":
		r.LogicalParent = scan.Text(value)
	case "leafUuid":
		r.LeafUUID = scan.Text(value)
	case "sessionId", "session_id":
		r.Session = p.name(value)
	case "cwd":
		r.Folder = p.name(value)
	case "timestamp":
		if t, err := time.Parse(time.RFC3339Nano, scan.Text(value)); err == nil {
			r.time = t
		}
	case "isSidechain":
		r.Sidechain = isTrue(value)
	case "parent_tool_use_id":
		r.Thread = scan.Text(value)
	case "isMeta", "isSynthetic":
		r.Meta = isTrue(value)
	case "isCompactSummary":
		r.Compact = isTrue(value)
	case "isVisibleInTranscriptOnly":
		r.Transcript = isTrue(value)
	case "isApiErrorMessage":
		r.APIError = isTrue(value)
	case "forkedFrom":
		for o := scan.Members(value); o.Next(); {
			if string(o.Key) == "sessionId" {
				r.ForkedFrom = p.name(o.Value)
			}
		}
	}
}

func isTrue(value []byte) bool { return string(value) == "true" }

func isNull(value []byte) bool { return len(value) == 0 || bytes.Equal(value, []byte("null")) }

// message reads the message of a record; nil when it cannot be understood.
func (p *parser) message(body []byte, assistant bool) *message {
	m := new(message)
	var content []byte
	o := scan.Members(body)
	for o.Next() {
		switch string(o.Key) {
		case "id":
			m.ID = scan.Text(o.Value)
		case "model":
			m.Model = p.name(o.Value)
		case "stop_reason":
			m.StopReason = p.name(o.Value)
		case "content":
			content = o.Value
		}
	}
	if !o.OK() {
		return nil
	}
	if p.survey {
		p.learn(content, assistant)
		return m
	}
	var ok bool
	if m.blocks, ok = p.content(content); !ok {
		return nil
	}
	return m
}

// learn notes the arguments that an assistant message calls tools with.
func (p *parser) learn(content []byte, assistant bool) {
	if !assistant || p.tools == nil || scan.Kind(content) != '[' {
		return
	}
	for a := scan.Items(content); a.Next(); {
		if b := p.block(a.Value); b.Type == blockToolUse {
			p.tools.learn(b.Name, b.Input)
		}
	}
}

// queued returns the prompt of a queued_command attachment: what the person
// typed while the model worked.
func (p *parser) queued(body []byte) []block {
	var kind string
	var prompt []byte
	for o := scan.Members(body); o.Next(); {
		switch string(o.Key) {
		case "type":
			kind = p.name(o.Value)
		case "prompt":
			prompt = o.Value
		}
	}
	if kind != "queued_command" {
		return nil
	}
	blocks, ok := p.content(prompt)
	if !ok {
		return nil
	}
	return blocks
}
