package serve

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
)

// toolFamily is how a family of models writes calls.
type toolFamily int

const (
	familyTags    toolFamily = iota // Hermes, Qwen: JSON within <tool_call> tags, text may stand before
	familyJSON                      // Llama 3: the whole answer is {"name": ..., "parameters": ...}
	familyMistral                   // [TOOL_CALLS] and a list of calls
)

const (
	callOpen    = "<tool_call>"
	callClose   = "</tool_call>"
	pythonTag   = "<|python_tag|>"
	mistralCall = "[TOOL_CALLS]"
)

// familyOf reads the family off the chat template, which shows earlier calls in
// the same way.
func familyOf(template string) toolFamily {
	switch {
	case strings.Contains(template, callOpen):
		return familyTags
	case strings.Contains(template, mistralCall):
		return familyMistral
	case strings.Contains(template, pythonTag), strings.Contains(template, "<|start_header_id|>") && strings.Contains(template, "parameters"):
		return familyJSON
	}
	return familyTags
}

// toolCall is a call as OpenAI spells it.
type toolCall struct {
	Index    *int         `json:"index,omitempty"` // in streams alone
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function functionCall `json:"function"`
}

type functionCall struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"` // JSON
}

func newCall(name string, arguments json.RawMessage) toolCall {
	return toolCall{ID: "call_" + strings.ToLower(rand.Text())[:24], Type: "function", Function: functionCall{name, compact(arguments)}}
}

// compact spells arguments without spaces; none are an empty object, and text
// that holds JSON is that JSON.
func compact(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil && json.Valid([]byte(text)) {
		raw = json.RawMessage(text)
	}
	var b bytes.Buffer
	if len(raw) == 0 || string(raw) == "null" || json.Compact(&b, raw) != nil {
		return "{}"
	}
	return b.String()
}

// splitter parts the text of an answer, as it comes, into content and calls.
type splitter struct {
	family toolFamily
	names  []string // of the tools that there are; none: all text is content
	held   string   // that may be, or is, part of a call
	inside bool     // held begins with a call
	begun  bool     // content was shown
}

// add takes text and returns what it completes.
func (s *splitter) add(text string) (content string, calls []toolCall) {
	if len(s.names) == 0 {
		return text, nil
	}
	s.held += text
	switch s.family {
	case familyJSON:
		return s.addJSON(), nil
	case familyMistral:
		return s.addMarked(mistralCall), nil
	default:
		return s.addTags()
	}
}

// end returns what is left when the answer is complete.
func (s *splitter) end() (content string, calls []toolCall) {
	held := s.held
	s.held = ""
	if !s.inside {
		return held, nil
	}
	s.inside = false
	switch s.family {
	case familyJSON:
		calls = s.parseMany(strings.TrimPrefix(strings.TrimSpace(held), pythonTag))
	case familyMistral:
		calls = s.parseMany(strings.TrimPrefix(held, mistralCall))
	default:
		calls = s.parseMany(strings.TrimPrefix(held, callOpen)) // the closing tag is missing
	}
	if calls == nil {
		return held, nil
	}
	return "", calls
}

// addTags shows text outside the tags and parses what is inside.
func (s *splitter) addTags() (content string, calls []toolCall) {
	for {
		if !s.inside {
			content += s.addMarked(callOpen)
			if !s.inside {
				return content, calls
			}
		}
		inner, rest, closed := strings.Cut(s.held[len(callOpen):], callClose)
		if !closed {
			return content, calls
		}
		if parsed := s.parseMany(inner); parsed != nil {
			calls = append(calls, parsed...)
		} else {
			content += callOpen + inner + callClose // no call after all
		}
		s.held, s.inside = strings.TrimLeft(rest, "\r\n"), false
	}
}

// addMarked shows text up to a mark, after which a call stands.
func (s *splitter) addMarked(mark string) (content string) {
	if s.inside {
		return ""
	}
	if at := strings.Index(s.held, mark); at >= 0 {
		content, s.held, s.inside = s.held[:at], s.held[at:], true
		if strings.TrimSpace(content) == "" {
			return ""
		}
		return strings.TrimRight(content, "\n")
	}
	keep := 0
	for n := min(len(mark)-1, len(s.held)); n > 0; n-- {
		if strings.HasSuffix(s.held, mark[:n]) {
			keep = n
			break
		}
	}
	for keep < len(s.held) && s.held[len(s.held)-keep-1] == '\n' {
		keep++ // line ends before a call are not part of the content
	}
	content, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return content
}

// addJSON holds an answer back that begins like a call.
func (s *splitter) addJSON() (content string) {
	if s.inside {
		return ""
	}
	if !s.begun {
		start := strings.TrimLeft(s.held, " \r\n\t")
		if start == "" || len(start) < len(pythonTag) && strings.HasPrefix(pythonTag, start) {
			return "" // too early to tell
		}
		if strings.HasPrefix(start, "{") || strings.HasPrefix(start, pythonTag) {
			s.inside = true
			return ""
		}
		s.begun = true
	}
	content, s.held = s.held, ""
	return content
}

// parseMany reads calls that stand one after the other, or in a list. Nil says
// that the text holds anything else.
func (s *splitter) parseMany(text string) []toolCall {
	var calls []toolCall
	for text = strings.TrimSpace(text); text != ""; {
		d := json.NewDecoder(strings.NewReader(text))
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil
		}
		list := []json.RawMessage{raw}
		if raw[0] == '[' && json.Unmarshal(raw, &list) != nil {
			return nil
		}
		for _, one := range list {
			call, ok := s.parse(one)
			if !ok {
				return nil
			}
			calls = append(calls, call)
		}
		text = strings.TrimLeft(text[d.InputOffset():], "; \r\n\t,")
	}
	return calls
}

// parse reads one call; Llama 3 calls the arguments parameters.
func (s *splitter) parse(raw json.RawMessage) (toolCall, bool) {
	var c struct {
		Name       string          `json:"name"`
		Arguments  json.RawMessage `json:"arguments"`
		Parameters json.RawMessage `json:"parameters"`
	}
	if json.Unmarshal(raw, &c) != nil || !slices.Contains(s.names, c.Name) {
		return toolCall{}, false
	}
	if c.Arguments == nil {
		c.Arguments = c.Parameters
	}
	return newCall(c.Name, c.Arguments), true
}
