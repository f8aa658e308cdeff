package chatlog

import (
	"fmt"
	"strings"
)

// assemble makes the assistant message of a response and the messages of its
// results, in the order of the calls. A call without result or without
// readable arguments is left out, and the reply held back.
func (t *turns) assemble(resp response) (Message, []Message) {
	m := Message{Role: RoleAssistant, keys: []string{resp.key}}
	var texts, thoughts []string
	var results []Message
	var holds []string
	for _, b := range resp.blocks {
		switch b.Type {
		case blockText:
			texts = append(texts, plain(b.Text))
			continue
		case blockThinking:
			thoughts = append(thoughts, plain(b.Text))
			continue
		}
		call, result, reason := t.call(b)
		if reason != "" {
			t.dropped.Add(reason, 1)
			holds = append(holds, heldIncomplete)
			continue
		}
		if strings.HasPrefix(result.result.head, rejection) {
			holds = append(holds, heldRejected)
		}
		t.answered[b.ID] = true
		m.ToolCalls = append(m.ToolCalls, call)
		results = append(results, result)
	}
	if resp.stopReason == "max_tokens" || resp.stopReason == "refusal" {
		holds = append(holds, heldTruncated)
	}
	m.Content = strings.TrimSpace(strings.Join(texts, "\n\n"))
	t.think(&m, thoughts)
	t.dropped.Add(reasonOtherBlock, resp.others)
	for _, reason := range holds {
		m.hold(reason)
	}
	return m, results
}

// think keeps what the model thought, when that is wanted.
func (t *turns) think(m *Message, thoughts []string) {
	if t.o.Thinking == ThinkingDrop {
		t.dropped.Add(reasonThinking, len(thoughts))
		return
	}
	m.Reasoning = strings.TrimSpace(strings.Join(thoughts, "\n\n"))
}

// call makes one call and its result; reason says why it cannot.
func (t *turns) call(b block) (c Call, result Message, reason string) {
	answer, ok := t.answers[b.ID]
	if !ok {
		return c, result, reasonNoResult
	}
	args, ok := arguments(b.Input)
	if !ok {
		t.answered[b.ID] = true // the result goes with its call
		return c, result, reasonBadArguments
	}
	full, reason := t.unpersist(answer.Result)
	t.dropped.Add(reason, oneIf(reason != ""))
	c = Call{ID: b.ID, Type: "function", Function: Function{Name: b.Name, Arguments: args}}
	return c, Message{Role: RoleTool, result: full, ToolCallID: b.ID, Name: b.Name}, ""
}

// number gives calls short ids in order of appearance. They are nine
// characters long, which is what Mistral's chat template insists on.
func number(messages []Message) {
	names, calls := map[string]string{}, 0
	for i := range messages {
		m := &messages[i]
		for j := range m.ToolCalls {
			calls++
			id := fmt.Sprintf("call%05d", calls)
			names[m.ToolCalls[j].ID] = id
			m.ToolCalls[j].ID = id
		}
		if m.Role == RoleTool {
			m.ToolCallID = names[m.ToolCallID]
		}
	}
}
