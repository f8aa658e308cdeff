package chatlog

import (
	"encoding/json"
	"slices"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/chatlog/scan"
)

// shareGPT writes from and value, as LLaMA-Factory wants them: people and
// results at odd places, replies and calls at even ones. Several calls are one
// list, their results one text; words beside calls have no place.
func shareGPT(talk *Conversation, dropped prep.Tally) []json.RawMessage {
	turns, system := shareGPTTurns(talk.Messages, dropped)
	for len(turns)%2 != 0 { // results that nothing follows
		turns = turns[:len(turns)-1]
	}
	if len(turns) == 0 {
		dropped.Add(reasonNoReply, 1)
		return nil
	}
	b := []byte(`{"conversations":[`)
	for _, t := range turns {
		b = append(append(append(comma(b, '['), `{"from":"`...), t.from...), `","value":`...)
		b = scan.AppendQuoted(b, t.value)
		if t.held {
			b = append(b, `,"train":false`...)
		}
		b = append(b, '}')
	}
	b = append(b, ']')
	if system != "" {
		b = scan.AppendQuoted(append(b, `,"system":`...), system)
	}
	if len(talk.Tools) > 0 {
		list, _ := json.Marshal(talk.Tools) // raw JSON that was read before
		b = scan.AppendQuoted(append(b, `,"tools":`...), string(list))
	}
	return []json.RawMessage{talk.appendOrigin(b)}
}

type shareGPTTurn struct {
	from, value string
	held        bool
}

func shareGPTTurns(messages []Message, dropped prep.Tally) (turns []shareGPTTurn, system string) {
	for i := range messages {
		m := &messages[i]
		last := len(turns) - 1
		asked := last >= 0 && last%2 == 0 // the last turn waits for a reply
		switch {
		case m.Role == RoleSystem:
			system = m.Content
		case m.Role == RoleAssistant && len(m.ToolCalls) > 0:
			dropped.Add(reasonCallText, oneIf(m.Content != ""))
			turns = append(turns, shareGPTTurn{"function_call", callList(m.ToolCalls), !m.trained()})
		case m.Role == RoleAssistant:
			turns = append(turns, shareGPTTurn{"gpt", m.Content, !m.trained()})
		case asked: // a further result, or words that follow results
			turns[last].value += "\n\n" + m.Content
		case m.Role == RoleTool:
			turns = append(turns, shareGPTTurn{from: "observation", value: m.Content})
		default:
			turns = append(turns, shareGPTTurn{from: "human", value: m.Content})
		}
	}
	return turns, system
}

// callList is one call as an object, or several as a list.
func callList(calls []Call) string {
	if len(calls) == 1 {
		return string(calls[0].Function.append(nil))
	}
	b := []byte{'['}
	for i := range calls {
		b = calls[i].Function.append(comma(b, '['))
	}
	return string(append(b, ']'))
}

// alpaca writes the last exchange as instruction and output and those before
// it as history. The format knows no calls, and trains every reply.
func alpaca(talk *Conversation, dropped prep.Tally) []json.RawMessage {
	messages := talk.Messages
	system := ""
	if messages[0].Role == RoleSystem {
		system, messages = messages[0].Content, messages[1:]
	}
	for i := range messages {
		switch m := &messages[i]; {
		case m.Role == RoleTool || len(m.ToolCalls) > 0:
			dropped.Add(reasonHasCalls, 1)
			return nil
		case m.Role == RoleAssistant && !m.trained():
			dropped.Add(reasonHeldPlain, 1)
			return nil
		}
	}
	n := len(messages)
	b := scan.AppendQuoted([]byte(`{"instruction":`), messages[n-2].Content)
	b = scan.AppendQuoted(append(b, `,"input":"","output":`...), messages[n-1].Content)
	if system != "" {
		b = scan.AppendQuoted(append(b, `,"system":`...), system)
	}
	b = append(b, `,"history":[`...)
	for pair := range slices.Chunk(messages[:n-2], 2) {
		b = scan.AppendQuoted(append(comma(b, '['), '['), pair[0].Content)
		b = append(scan.AppendQuoted(append(b, ','), pair[1].Content), ']')
	}
	return []json.RawMessage{talk.appendOrigin(append(b, ']'))}
}

// completions writes a record for every reply that is trained: the messages
// before it, and the reply.
func completions(talk *Conversation) []json.RawMessage {
	var out []json.RawMessage
	for i := range talk.Messages {
		if !talk.Messages[i].trained() {
			continue
		}
		b := append([]byte(`{"prompt":`), appendMessages(nil, talk.Messages[:i], false)...)
		b = appendMessages(append(b, `,"completion":`...), talk.Messages[i:i+1], false)
		out = append(out, slices.Clip(talk.appendRest(b)))
	}
	return out
}
