package serve

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/serve/engine"
)

// TestSplitter cuts each answer at every place, since tokens may end anywhere.
func TestSplitter(t *testing.T) {
	for _, c := range []struct {
		family        toolFamily
		text          string
		content, want string
	}{
		{familyTags, "just text", "just text", ""},
		{familyTags, "a < b and <tool", "a < b and <tool", ""},
		{familyTags, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"x\": 1}}\n</tool_call>", "", `f{"x":1}`},
		{familyTags, "Let me see.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"g\"}</tool_call>", "Let me see.", "f{} g{}"},
		{familyTags, "<tool_call>{\"name\":\"f\",\"arguments\":{}}", "", "f{}"}, // cut off by the end of the turn
		{familyTags, "<tool_call>broken</tool_call>", "<tool_call>broken</tool_call>", ""},
		{familyTags, "<tool_call>{\"name\":\"stranger\"}</tool_call>", "<tool_call>{\"name\":\"stranger\"}</tool_call>", ""},
		{familyTags, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":2}\"}</tool_call>", "", `f{"x":2}`},
		{familyJSON, `{"name": "f", "parameters": {"x": "y"}}`, "", `f{"x":"y"}`},
		{familyJSON, `<|python_tag|>{"name": "f", "parameters": {}}; {"name": "g", "parameters": {"a": [1, 2]}}`, "", `f{} g{"a":[1,2]}`},
		{familyJSON, `{"colour": "red"}`, `{"colour": "red"}`, ""},
		{familyJSON, `The answer is {"name": "f"}`, `The answer is {"name": "f"}`, ""},
		{familyJSON, "  ", "  ", ""},
		{familyMistral, `[TOOL_CALLS][{"name": "f", "arguments": {"x": 1}}, {"name": "g", "arguments": {}}]`, "", `f{"x":1} g{}`},
		{familyMistral, "no [TOOL", "no [TOOL", ""},
	} {
		for at := range len(c.text) + 1 {
			s := &splitter{family: c.family, names: []string{"f", "g"}}
			content, calls := s.add(c.text[:at])
			for _, piece := range []string{c.text[at:], ""} {
				more, further := s.add(piece)
				content, calls = content+more, append(calls, further...)
			}
			rest, last := s.end()
			content, calls = content+rest, append(calls, last...)
			var spelled []string
			for _, call := range calls {
				spelled = append(spelled, call.Function.Name+call.Function.Arguments)
			}
			if got := strings.Join(spelled, " "); content != c.content || got != c.want {
				t.Errorf("%d, %q cut at %d: content %q, calls %q", c.family, c.text, at, content, got)
			}
		}
	}
}

func TestFamilies(t *testing.T) {
	for template, want := range map[string]toolFamily{
		"{{ '<tool_call>' }}": familyTags, "{{ '[TOOL_CALLS] ' }}": familyMistral, "<|python_tag|>": familyJSON,
		"<|start_header_id|> with \"parameters\"": familyJSON, "<|im_start|>": familyTags,
	} {
		if got := familyOf(template); got != want {
			t.Errorf("%s: %d, want %d", template, got, want)
		}
	}
}

func TestReasonOfCalls(t *testing.T) {
	const call = "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>"
	for _, c := range []struct{ text, ended, want string }{
		{"x", engine.ReasonStop, "stop"}, {call, engine.ReasonStop, "tool_calls"},
		{call + "\n<tool_call>\n{\"na", engine.ReasonLength, "length"},
	} {
		choice := &chatChoice{splitter: &splitter{names: []string{"f"}}}
		choice.take(engine.Event{Text: c.text, Finish: &engine.Finish{Reason: c.ended}})
		if got := choice.reason(); got != c.want {
			t.Errorf("%q that ended by %s: %s, want %s", c.text, c.ended, got, c.want)
		}
	}
}

func TestUsageCountsAPromptOnce(t *testing.T) {
	var u usage
	for i := range 3 {
		u.add(&engineFinish, i == 0)
	}
	if got := fmt.Sprint(u); got != "{10 15 25 {4}}" {
		t.Errorf("got %s", got)
	}
}

var engineFinish = engine.Finish{Prompt: 10, Cached: 4, Generated: 5}
