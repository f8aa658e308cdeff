package chatlog

import (
	"bytes"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// content reads content that is a string, a list of blocks, or absent.
func (p *parser) content(raw []byte) (blocks []block, ok bool) {
	switch {
	case isNull(raw):
		return nil, true
	case raw[0] == '"':
		text, ok := scan.String(raw)
		if !ok {
			return nil, false
		}
		return []block{{Type: blockText, Text: text}}, true
	case raw[0] != '[':
		return nil, false
	}
	a := scan.Items(raw)
	for a.Next() {
		blocks = append(blocks, p.block(a.Value))
	}
	return blocks, a.OK()
}

// block reads one item of content. A bare string is text; anything else that
// is no object is of no known type.
func (p *parser) block(raw []byte) block {
	if raw[0] == '"' {
		return block{Type: blockText, Text: scan.Text(raw)}
	}
	var b block
	var text, content []byte
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "type":
			b.Type = p.name(o.Value)
		case "text", "thinking":
			text = o.Value
		case "id":
			b.ID = scan.Text(o.Value)
		case "name":
			b.Name = p.name(o.Value)
		case "input":
			b.Input = o.Value
		case "tool_use_id":
			b.Answers = scan.Text(o.Value)
		case "content":
			content = o.Value
		}
	}
	switch b.Type {
	case blockText, blockThinking:
		b.Text = scan.Text(text)
	case blockToolUse:
		b.Input = bytes.Clone(b.Input)
	case blockToolResult:
		b.Result = p.result(content)
	}
	if b.Type != blockToolUse {
		b.Input = nil
	}
	return b
}

// result reads a tool's result as the model saw it, without injected reminders
// and terminal colours, and keeps the parts of it that will be needed.
func (p *parser) result(raw []byte) clip {
	if isNull(raw) {
		return clip{}
	}
	p.scratch = p.scratch[:0]
	if raw[0] == '"' {
		p.scratch, _ = scan.AppendString(p.scratch, raw)
	}
	parts := 0
	for a := scan.Items(raw); a.Next(); {
		p.resultPart(a.Value, &parts)
	}
	kept := newClip(tidy(p.scratch), p.limit, p.margin)
	if cap(p.scratch) > maxScratch {
		p.scratch = nil
	}
	return kept
}

// maxScratch is the size up to which a buffer is worth keeping, bytes.
const maxScratch = 8 << 20

// resultPart adds one part of a result to the scratch buffer.
func (p *parser) resultPart(raw []byte, parts *int) {
	var kind string
	text := raw
	if raw[0] == '"' {
		kind = blockText
	} else {
		text = nil
	}
	for o := scan.Members(raw); o.Next(); {
		switch string(o.Key) {
		case "type":
			kind = p.name(o.Value)
		case "text":
			text = o.Value
		}
	}
	if kind != blockText && kind != blockImage && kind != blockDocument {
		return
	}
	if *parts > 0 {
		p.scratch = append(p.scratch, '\n')
	}
	*parts++
	if kind == blockText {
		p.scratch, _ = scan.AppendString(p.scratch, text)
		return
	}
	p.scratch = append(append(append(p.scratch, '['), kind...), ']')
}
