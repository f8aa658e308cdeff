package chatlog

import (
	"encoding/json"
	"strconv"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// encode writes a conversation as the lines of its format, without line ends.
// It is written by hand because encoding/json checks and copies every argument
// and declaration again.
func (c *converter) encode(talk *Conversation, report *Report) []json.RawMessage {
	if c.o.ToolArgs == ArgsString {
		for i := range talk.Messages {
			for k := range talk.Messages[i].ToolCalls {
				f := &talk.Messages[i].ToolCalls[k].Function
				f.Arguments = scan.AppendQuoted(nil, string(f.Arguments))
			}
		}
	}
	switch c.o.Format {
	case FormatShareGPT:
		return shareGPT(talk, report.Dropped)
	case FormatAlpaca:
		return alpaca(talk, report.Dropped)
	case FormatCompletion:
		return completions(talk)
	default:
		b := append([]byte(`{"messages":`), appendMessages(nil, talk.Messages, true)...)
		return []json.RawMessage{talk.appendRest(b)}
	}
}

// appendRest writes what stands behind the content of a record and closes it.
func (c *Conversation) appendRest(b []byte) []byte {
	if len(c.Tools) > 0 {
		b = append(b, `,"tools":[`...)
		for _, t := range c.Tools {
			b = append(comma(b, '['), t...)
		}
		b = append(b, ']')
	}
	return c.appendOrigin(b)
}

// appendOrigin writes where a record comes from and closes it.
func (c *Conversation) appendOrigin(b []byte) []byte {
	b = scan.AppendQuoted(append(b, `,"source":`...), c.Source)
	b = scan.AppendQuoted(append(b, `,"session":`...), c.Session)
	b = strconv.AppendInt(append(b, `,"segment":`...), int64(c.Segment), 10)
	if c.Window > 0 {
		b = strconv.AppendInt(append(b, `,"window":`...), int64(c.Window), 10)
	}
	b = scan.AppendQuoted(append(b, `,"group":`...), c.Group)
	if c.Sidechain {
		b = append(b, `,"sidechain":true`...)
	}
	return append(b, '}')
}

// appendMessages writes a list of messages; marks are the train keys.
func appendMessages(b []byte, messages []Message, marks bool) []byte {
	b = append(b, '[')
	for i := range messages {
		b = messages[i].append(comma(b, '['), marks)
	}
	return append(b, ']')
}

func (m *Message) append(b []byte, marks bool) []byte {
	b = append(append(append(b, `{"role":"`...), m.Role...), `","content":`...)
	b = scan.AppendQuoted(b, m.Content)
	if m.Reasoning != "" {
		b = scan.AppendQuoted(append(b, `,"reasoning_content":`...), m.Reasoning)
	}
	if len(m.ToolCalls) > 0 {
		b = append(b, `,"tool_calls":[`...)
		for _, call := range m.ToolCalls {
			b = call.append(comma(b, '['))
		}
		b = append(b, ']')
	}
	if m.Role == RoleTool {
		b = scan.AppendQuoted(append(b, `,"tool_call_id":`...), m.ToolCallID)
		b = scan.AppendQuoted(append(b, `,"name":`...), m.Name)
	}
	if marks && m.Train != nil {
		b = strconv.AppendBool(append(b, `,"train":`...), *m.Train)
	}
	return append(b, '}')
}

func (c *Call) append(b []byte) []byte {
	b = append(append(b, `{"id":"`...), c.ID...)
	b = append(b, `","type":"function","function":`...)
	return append(c.Function.append(b), '}')
}

// append writes {"name":..., "arguments":...}.
func (f *Function) append(b []byte) []byte {
	b = scan.AppendQuoted(append(b, `{"name":`...), f.Name)
	b = append(b, `,"arguments":`...)
	return append(appendOneLine(b, f.Arguments), '}')
}

// appendOneLine writes JSON without white space outside strings.
func appendOneLine(b, raw []byte) []byte {
	text := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\' && i+1 < len(raw):
			b = append(b, c, raw[i+1])
			i++
			continue
		case c == '"':
			text = !text
		case !text && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		b = append(b, raw[i])
	}
	return b
}
