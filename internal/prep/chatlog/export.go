package chatlog

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// rootParent is what the first message of a conversation names as its parent.
const rootParent = "00000000-0000-4000-8000-000000000000"

// unsupported is what an export puts in the place of blocks that a device did
// not show.
const unsupported = "This block is not supported on your current device yet."

// exportMessage is one message of a claude.ai conversation.
type exportMessage struct {
	uuid, parent, sender, text string
	created                    time.Time
	blocks                     []block
	attached                   []string // text of attachments, with their names
	files                      int      // files whose content the export lacks
	broken                     bool
}

// exported reads one conversation of a claude.ai export as a session.
func (p *parser) exported(name string, raw []byte) (*session, error) {
	var id string
	var leaf string
	var list []byte
	o := scan.Members(raw)
	for o.Next() {
		switch string(o.Key) {
		case "uuid":
			id = scan.Text(o.Value)
		case "current_leaf_message_uuid":
			leaf = scan.Text(o.Value)
		case "chat_messages":
			list = o.Value
		}
	}
	if !o.OK() {
		return nil, explain(raw)
	}
	var records, firsts []*record
	last := map[string]string{} // message -> its last record
	before := ""
	a := scan.Items(list)
	for a.Next() {
		m := p.exportMessage(a.Value)
		if m.uuid == "" {
			m.uuid = fmt.Sprintf("message %d of %s in %s", len(records), id, name)
		}
		if m.parent == "" { // old exports are lists without parents
			m.parent = before
		}
		before = m.uuid
		split := m.records(id)
		last[m.uuid] = split[len(split)-1].UUID
		firsts = append(firsts, split[0])
		records = append(records, split...)
	}
	relink(firsts, last)
	if leaf != "" {
		records = append(records, &record{Type: typeLastPrompt, LeafUUID: cmp.Or(last[leaf], leaf)})
	}
	s := newSession(name, records)
	s.id = cmp.Or(id, s.id)
	return s, nil
}

// relink makes the first record of each message follow the last one of its
// parent message.
func relink(firsts []*record, last map[string]string) {
	for _, r := range firsts {
		if r.Parent == rootParent {
			r.Parent = ""
		} else if to, ok := last[r.Parent]; ok {
			r.Parent = to
		}
	}
}

// exportMessage reads one message.
func (p *parser) exportMessage(raw []byte) exportMessage {
	var m exportMessage
	var content []byte
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "uuid":
			m.uuid = scan.Text(o.Value)
		case "parent_message_uuid":
			m.parent = scan.Text(o.Value)
		case "sender":
			m.sender = p.name(o.Value)
		case "text":
			m.text = scan.Text(o.Value)
		case "created_at":
			m.created, _ = time.Parse(time.RFC3339Nano, scan.Text(o.Value)) // zero when unreadable
		case "content":
			content = o.Value
		case "attachments":
			m.attach(o.Value)
		case "files":
			for a := scan.Items(o.Value); a.Next(); {
				m.files++
			}
		}
	}
	var ok bool
	m.blocks, ok = p.content(content)
	m.broken = !ok
	if len(m.blocks) == 0 && strings.TrimSpace(m.text) != "" {
		m.blocks, m.broken = []block{{Type: blockText, Text: m.text}}, false
	}
	p.learn(content, m.sender == "assistant")
	return m
}

// attach reads the attachments whose text the export holds.
func (m *exportMessage) attach(raw []byte) {
	for a := scan.Items(raw); a.Next(); {
		var name, text string
		for o := scan.Members(a.Value); o.Next(); {
			switch string(o.Key) {
			case "file_name":
				name = scan.Text(o.Value)
			case "extracted_content":
				text = scan.Text(o.Value)
			}
		}
		if text == "" {
			m.files++
			continue
		}
		m.attached = append(m.attached, "[Attachment: "+name+"]\n"+text)
	}
}

// records makes the records of a message. An assistant's message holds its
// calls, their results and what it said afterwards: it becomes one response
// up to each run of results, and one record of the results.
func (m exportMessage) records(session string) []*record {
	kind := typeUser
	if m.sender == "assistant" {
		kind = typeAssistant
	}
	first := &record{Type: kind, UUID: m.uuid, Parent: m.parent, Session: session, time: m.created, message: &message{}}
	if m.broken {
		first.message = nil
		return []*record{first}
	}
	if kind == typeUser {
		first.message.blocks = m.prompt()
		return []*record{first}
	}
	out := []*record{first}
	pair(m.blocks, m.uuid)
	for _, b := range m.blocks {
		b.Text = strings.ReplaceAll(b.Text, "```\n"+unsupported+"\n```", "")
		want := typeAssistant
		if b.Type == blockToolResult {
			want = typeUser
		}
		at := out[len(out)-1]
		if at.Type != want {
			uuid := fmt.Sprintf("%s/%d", m.uuid, len(out))
			at = &record{Type: want, UUID: uuid, Parent: at.UUID, Session: session, time: m.created, message: &message{}}
			out = append(out, at)
		}
		at.message.blocks = append(at.message.blocks, b)
	}
	return out
}

// prompt is what a person said, attachments first.
func (m exportMessage) prompt() []block {
	var out []block
	for _, text := range m.attached {
		out = append(out, block{Type: blockText, Text: text})
	}
	for range m.files {
		out = append(out, block{Type: blockDocument})
	}
	return append(out, m.blocks...)
}

// pair gives calls without an id one, and results without one the id of the
// earliest call that has no result yet.
func pair(blocks []block, uuid string) {
	var open []string
	for i := range blocks {
		b := &blocks[i]
		switch {
		case b.Type == blockToolUse:
			if b.ID == "" {
				b.ID = fmt.Sprintf("%s call %d", uuid, i)
			}
			open = append(open, b.ID)
		case b.Type == blockToolResult && len(open) > 0:
			if b.Answers == "" {
				b.Answers = open[0]
			}
			for k, id := range open {
				if id == b.Answers {
					open = append(open[:k], open[k+1:]...)
					break
				}
			}
		}
	}
}
