package chatlog

import (
	"cmp"
	"encoding/json"

	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// tools are the declarations that the options give.
func (o Options) tools() []tool {
	var out []tool
	for _, raw := range o.Tools {
		if t, ok := declared(raw); ok {
			out = append(out, t)
		}
	}
	return out
}

// finish makes the records of a conversation: secrets removed, results cut to
// size, windows that fit, system prompt and tools added.
func (c *converter) finish(talk *Conversation, s *session, report *Report) []*Conversation {
	talk.system = cmp.Or(c.o.System, s.system)
	if talk.declared = c.given; c.given == nil {
		talk.declared = s.tools
	}
	found := map[string]int{}
	c.clean(talk, found, report)
	report.redact(found)
	if len(found) > 0 && c.o.DropSecrets {
		report.Dropped.Add(reasonSecret, 1)
		return nil
	}
	c.cleanOrigin(talk, s, report)
	if c.o.Thinking == ThinkingTags {
		for i := range talk.Messages {
			talk.Messages[i].tag()
		}
	}
	if c.o.SplitCalls {
		talk.Messages = splitCalls(talk.Messages)
	}
	windows := []*Conversation{talk}
	if c.o.Window > 0 {
		windows = c.windows(talk, report.Dropped)
	}
	for _, w := range windows {
		c.complete(w)
	}
	return windows
}

// complete adds what every record has.
func (c *converter) complete(w *Conversation) {
	number(w.Messages)
	if !c.o.NoTools {
		w.Tools = pick(w.declared, c.learnt, w.Messages)
	}
	if w.system != "" {
		w.Messages = append([]Message{{Role: RoleSystem, Content: w.system}}, w.Messages...)
	}
}

// tag moves the thinking into the content.
func (m *Message) tag() {
	if m.Reasoning != "" {
		m.Content = "<think>\n" + m.Reasoning + "\n</think>\n\n" + m.Content
		m.Reasoning = ""
	}
}

// splitCalls puts each of several calls of a reply into a message of its own,
// followed by its result: some templates, Llama 3.1's among them, refuse more
// than one.
func splitCalls(messages []Message) []Message {
	var out []Message
	for i := 0; i < len(messages); i++ {
		m := messages[i]
		calls := m.ToolCalls
		if len(calls) < 2 {
			out = append(out, m)
			continue
		}
		for k := range calls {
			m.ToolCalls = calls[k : k+1 : k+1]
			out = append(out, m, messages[i+1+k])
			m.Content, m.Reasoning = "", ""
		}
		i += len(calls)
	}
	return out
}

// clean removes secrets from everything that is written, and settles the text
// of tool results.
func (c *converter) clean(talk *Conversation, found map[string]int, report *Report) {
	clean := func(text string) string { return text }
	if c.o.Cleaner != nil {
		clean = func(text string) string {
			if text == "" {
				return ""
			}
			return c.o.Cleaner.Clean(text, found)
		}
		talk.system = clean(talk.system)
		talk.declared = c.cleanTools(talk.declared, found)
	}
	for i := range talk.Messages {
		m := &talk.Messages[i]
		if m.Role == RoleTool {
			text, cut := m.result.text(c.o.ResultLimit, clean)
			m.Content, m.result = text, clip{}
			report.Dropped.Add(reasonShortened, oneIf(cut))
			continue
		}
		m.Content, m.Reasoning = clean(m.Content), clean(m.Reasoning)
		if c.o.Cleaner == nil {
			continue
		}
		for k := range m.ToolCalls {
			f := &m.ToolCalls[k].Function
			f.Arguments = cleanJSON(make([]byte, 0, len(f.Arguments)), f.Arguments, clean)
		}
	}
}

// cleanJSON appends the JSON value raw to dst with every string in it cleaned.
// Strings in which nothing is found stay as they were spelt.
func cleanJSON(dst []byte, raw json.RawMessage, clean func(string) string) []byte {
	switch scan.Kind(raw) {
	case '"':
		text, _ := scan.String(raw)
		if cleaned := clean(text); cleaned != text {
			return scan.AppendQuoted(dst, cleaned)
		}
	case '{':
		dst = append(dst, '{')
		for o := scan.Members(raw); o.Next(); {
			dst = comma(dst, '{')
			dst = append(append(append(dst, '"'), o.Key...), '"', ':')
			dst = cleanJSON(dst, o.Value, clean)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		for a := scan.Items(raw); a.Next(); {
			dst = cleanJSON(comma(dst, '['), a.Value, clean)
		}
		return append(dst, ']')
	}
	return append(dst, raw...)
}
