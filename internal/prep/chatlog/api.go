package chatlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// exchange is a request of the Messages API and what came back. Either may be
// missing.
type exchange struct {
	request  []byte // JSON body
	response []byte // JSON body, or the events of a stream
	line     int    // where it begins in its file
}

// apiSession reads an exchange as a session: the messages of the request in
// their order, then the response. reason says what was left out of it; s is
// nil when nothing is left.
func (p *parser) apiSession(name string, x exchange) (s *session, reason string, err error) {
	if x.request == nil {
		return nil, reasonNoRequest, nil
	}
	var system, list, tools []byte
	o := scan.Members(x.request)
	for o.Next() {
		switch string(o.Key) {
		case "system":
			system = o.Value
		case "messages":
			list = o.Value
		case "tools":
			tools = o.Value
		}
	}
	if !o.OK() {
		return nil, "", explain(x.request)
	}
	var messages []apiMessage
	a := scan.Items(list)
	for a.Next() {
		messages = append(messages, p.apiMessage(a.Value))
	}
	if !a.OK() {
		return nil, "", fmt.Errorf("messages: %w", errNotList)
	}
	messages, reason = p.answer(messages, x.response)
	s = newSession(name, apiRecords(messages))
	s.system = p.systemText(system)
	s.tools, s.servers = declaredTools(tools)
	return s, reason, nil
}

var errNotList = fmt.Errorf("not a list")

// apiMessage is one message of a request, or the response.
type apiMessage struct {
	role string
	*message
}

func (p *parser) apiMessage(raw []byte) apiMessage {
	var m apiMessage
	var content []byte
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "role":
			m.role = p.name(o.Value)
		case "content":
			content = o.Value
		}
	}
	p.learn(content, m.role == typeAssistant)
	if blocks, ok := p.content(content); ok {
		m.message = &message{blocks: blocks}
	}
	return m
}

// answer adds the response to the messages of its request. A request that ends
// with the beginning of an answer is continued by the response.
func (p *parser) answer(messages []apiMessage, response []byte) (all []apiMessage, reason string) {
	if response == nil {
		return messages, ""
	}
	m, reason := p.response(response)
	if m == nil {
		return messages, reason
	}
	n := len(messages)
	if n > 0 && messages[n-1].role == typeAssistant && messages[n-1].message != nil {
		m.blocks = continued(messages[n-1].blocks, m.blocks)
		messages = messages[:n-1]
	}
	return append(messages, apiMessage{typeAssistant, m}), ""
}

// continued joins the beginning of an answer and the rest of it.
func continued(begin, rest []block) []block {
	n := len(begin)
	if n > 0 && len(rest) > 0 && begin[n-1].Type == blockText && rest[0].Type == blockText {
		rest[0].Text = begin[n-1].Text + rest[0].Text
		begin = begin[:n-1]
	}
	return append(begin[:len(begin):len(begin)], rest...)
}

// response reads a response: a JSON body, or the events of a stream.
func (p *parser) response(raw []byte) (m *message, reason string) {
	raw = bytes.TrimSpace(raw)
	if scan.Kind(raw) != '{' {
		return p.streamed(raw)
	}
	var kind string
	var inner, content []byte
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "type":
			kind = p.name(o.Value)
		case "message":
			inner = o.Value
		case "content":
			content = o.Value
		}
	}
	switch {
	case kind == "error" || kind == "errored":
		return nil, reasonErrorResponse
	case content == nil && inner != nil: // an item of a batch
		return p.response(inner)
	}
	p.learn(content, true)
	full := *p
	full.survey = false
	if m = full.message(raw, true); m == nil || content == nil {
		return nil, reasonUnreadableResponse
	}
	return m, ""
}

// systemText reads a system prompt, which is a string or a list of blocks.
func (p *parser) systemText(raw []byte) string {
	blocks, ok := p.content(raw)
	if !ok {
		return ""
	}
	var texts []string
	for _, b := range blocks {
		if text := plain(b.Text); text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, "\n\n")
}

// apiRecords makes a chain of records. A reply is known by a hash of all that
// was said up to it, so that histories which later requests repeat are seen as
// the same replies.
func apiRecords(messages []apiMessage) []*record {
	chain := sha256.New()
	var records []*record
	var id string
	for i, m := range messages {
		r := &record{Type: m.role, UUID: fmt.Sprintf("message %d", i), message: m.message}
		if i > 0 {
			r.Parent = records[i-1].UUID
		}
		if m.message != nil {
			m.hash(chain)
			id = hex.EncodeToString(chain.Sum(nil)[:16])
			r.message.ID = id
		}
		records = append(records, r)
	}
	for _, r := range records {
		r.Session = id
	}
	return records
}

// hash adds what a message says to the chain: not the ids of calls, what the
// program injected, or thinking, which clients leave out of histories.
func (m apiMessage) hash(chain hash.Hash) {
	add := func(kind byte, parts ...string) {
		for _, part := range parts {
			fmt.Fprintf(chain, "%c%d:%s", kind, len(part), part)
		}
	}
	for _, b := range m.blocks {
		switch b.Type {
		case blockText:
			text := plain(b.Text)
			if m.role == typeUser {
				text, _ = promptText(b.Text)
			}
			if text = strings.TrimSpace(text); text != "" {
				add('t', m.role, text)
			}
		case blockToolUse:
			add('c', b.Name, canonical(b.Input))
		case blockToolResult:
			add('r', b.Result.head, b.Result.tail, itoa(b.Result.size))
		}
	}
}

// canonical is JSON with its keys sorted and without white space.
func canonical(raw []byte) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(text)
}
