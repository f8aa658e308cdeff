package ollama

import (
	"errors"
	"fmt"
	"strings"
)

// probe is a chat that the two templates must write alike.
type probe struct {
	messages []Message
	tools    []Tool
}

func say(role, content string) Message { return Message{Role: role, Content: content} }

// plain are chats without tools.
var plain = []probe{
	{messages: []Message{say("user", "one")}},
	{messages: []Message{say("system", "zero"), say("user", "one")}},
	{messages: []Message{say("system", "zero"), say("user", "one"), say("assistant", "two"), say("user", "three\nlines\n  of it")}},
	{messages: []Message{say("user", "one"), say("assistant", "two"), say("user", "three"), say("assistant", "four"), say("user", "five")}},
}

// withTools are chats with tools, calls of them and results. Identifiers have
// nine characters, since Mistral's templates take no others.
var withTools = []probe{
	{[]Message{say("user", "one")}, probeTools},
	{[]Message{say("system", "zero"), say("user", "one")}, probeTools},
	{[]Message{say("user", "one"), call("first", "a11111111"), answer("a11111111")}, probeTools},
	{[]Message{say("system", "zero"), say("user", "one"), call("first", "a11111111"), answer("a11111111"), say("assistant", "two"), say("user", "three")}, probeTools},
	{[]Message{say("user", "one"), call("first", "a11111111", "b22222222"), answer("a11111111"), answer("b22222222"), say("assistant", "two"), say("user", "three")}, probeTools},
}

var probeTools = []Tool{probeTool("first"), probeTool("second")}

func probeTool(name string) Tool {
	return Tool{"function", Function{Name: name, Description: "what it does",
		Parameters: Parameters{"object", []string{"place"}, map[string]Property{"place": {"string", "where"}, "when": {Type: "integer"}}}}}
}

func call(name string, ids ...string) Message {
	m := say("assistant", "")
	for _, id := range ids {
		m.Calls = append(m.Calls, Call{id, "function", CallFunction{name, arguments{"place": "Oslo", "when": 3}}})
	}
	return m
}

func answer(id string) Message { return Message{Role: "tool", Content: "it rains", CallID: id} }

// errUnasked says that the model's own template refuses every chat of a kind:
// there is no rule to keep.
var errUnasked = errors.New("the model's own template refuses them")

// compare says where the template text and the model's own part, or nothing.
// JSON is alike when it is but for spaces.
func compare(text, system string, render Render, probes []probe) error {
	none := errUnasked
	for _, p := range probes {
		want, err := render(p.messages, p.tools)
		if err != nil {
			continue
		}
		none = nil
		got, err := execute(text, withSystem(p.messages, system), p.tools)
		if err != nil {
			return err
		}
		if got, want = compact(got), compact(want); got != want {
			return errors.New(difference(got, want))
		}
	}
	return none
}

// withSystem puts the message of SYSTEM in front of a chat that has none, as
// Ollama does.
func withSystem(messages []Message, system string) []Message {
	if system == "" || messages[0].Role == "system" {
		return messages
	}
	return append([]Message{say("system", system)}, messages...)
}

// difference shows the first place at which two texts part.
func difference(got, want string) string {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	excerpt := func(s string) string { return s[max(0, at-12):min(len(s), at+24)] }
	return fmt.Sprintf("%q where the model's own has %q", excerpt(got), excerpt(want))
}

// defaultSystem is the system message that a model's template writes by itself
// when the chat has none: what stands where a given one would.
func defaultSystem(render Render) string {
	const mark = "a system message to look for"
	with, err := render([]Message{say("system", mark), say("user", "one")}, nil)
	if err != nil {
		return ""
	}
	without, err := render([]Message{say("user", "one")}, nil)
	before, after, found := strings.Cut(with, mark)
	if err != nil || !found || len(without) < len(before)+len(after) {
		return ""
	}
	if !strings.HasPrefix(without, before) || !strings.HasSuffix(without, after) {
		return ""
	}
	return without[len(before) : len(without)-len(after)]
}

// writesTools tells whether a model's own template writes the tools of a chat.
func writesTools(render Render) bool {
	text, err := render([]Message{say("user", "one")}, []Tool{probeTool("a_tool_to_look_for")})
	return err == nil && strings.Contains(text, "a_tool_to_look_for")
}

// toolWords are the texts with which a model's own template introduces tools:
// from head to the first, between two, and from the last to the message that
// follows. Each model has its own, so they are read off a rendering.
func toolWords(head string, render Render) (before, between, after string, ok bool) {
	const system, user = "a system message to look for", "a question to look for"
	text, err := render([]Message{say("system", system), say("user", user)}, probeTools)
	if err != nil {
		return "", "", "", false
	}
	text = compact(text)
	lead, rest, first := strings.Cut(text, jsonText(probeTools[0]))
	between, rest, second := strings.Cut(rest, jsonText(probeTools[1]))
	at := strings.LastIndex(lead, head)
	end := strings.Index(rest, system)
	if end < 0 {
		end = strings.Index(rest, user)
	}
	if !first || !second || at < 0 || end < 0 {
		return "", "", "", false
	}
	return lead[at+len(head):], between, rest[:end], true
}
