package chatlog

import "github.com/qlora/qlora/internal/prep"

// Tokens that templates add: around a message, around a call, and at the
// beginning, where those that know tools explain how to call them. They are on
// the safe side for the templates of Qwen2.5, Llama 3 and SmolLM2.
const (
	messageTokens = 24
	callTokens    = 24
	startTokens   = 64
	toolsTokens   = 192
)

// EstimatedBytes is how many bytes are taken for a token where no vocabulary
// is given.
const EstimatedBytes = 3.5

// tokens is the length of a text.
func (o *Options) tokens(text string) int {
	if o.Tokenizer != nil {
		if ids, err := o.Tokenizer.Encode(text, false); err == nil {
			return len(ids)
		}
	}
	return int(float64(len(text))/EstimatedBytes) + 1
}

// cost is the length of a message as a template writes it.
func (o *Options) cost(m *Message) int {
	n := messageTokens + o.tokens(m.Content)
	if m.Reasoning != "" {
		n += callTokens + o.tokens(m.Reasoning)
	}
	for _, call := range m.ToolCalls {
		n += callTokens + o.tokens(call.Function.Name) + o.tokens(string(call.Function.Arguments))
	}
	return n
}

// overhead is the length of what comes before the first message.
func (c *converter) overhead(talk *Conversation) int {
	n := startTokens
	if talk.system != "" {
		n += messageTokens + c.o.tokens(talk.system)
	}
	if c.o.NoTools {
		return n
	}
	tools := pick(talk.declared, c.learnt, talk.Messages)
	for _, t := range tools {
		// Some templates indent declarations, which adds about as much again.
		n += 2 * c.o.tokens(string(t))
	}
	if len(tools) > 0 {
		n += toolsTokens
	}
	return n
}

// windows divides a conversation into parts that fit, each from a prompt to a
// reply. As many whole turns as fit make a part; no turn is in two. Of a turn
// that is too large alone, the steps that fit are kept: a step is a reply with
// all its results. No part goes on where something is missing.
func (c *converter) windows(talk *Conversation, dropped prep.Tally) []*Conversation {
	room := c.o.Window - c.overhead(talk)
	if room <= 0 {
		dropped.Add(reasonOverhead, 1)
		return nil
	}
	var out []*Conversation
	var part []Message
	used := 0
	flush := func() {
		out = c.keepWindow(out, talk, part, dropped)
		part, used = nil, 0
	}
	for _, turn := range turnsOf(talk.Messages) {
		kept, size := c.fit(turn, room, dropped)
		if used+size > room {
			flush()
		}
		part, used = append(part, kept...), used+size
		if len(kept) < len(turn) { // what follows answers what is not there
			flush()
		}
	}
	flush()
	return out
}

// keepWindow adds a part to the list when there is something to train in it.
func (c *converter) keepWindow(list []*Conversation, talk *Conversation, part []Message, dropped prep.Tally) []*Conversation {
	if len(part) == 0 {
		return list
	}
	w := *talk
	w.Messages, w.Window = part, len(list)
	if w.trainedReplies() == 0 {
		dropped.Add(reasonNoReply, 1)
		return list
	}
	return append(list, &w)
}

// fit cuts a turn to room tokens after a whole step. It is empty when not even
// its first step fits.
func (c *converter) fit(turn []Message, room int, dropped prep.Tally) (kept []Message, size int) {
	end, total := 0, 0
	for i := range turn {
		total += c.o.cost(&turn[i])
		if total > room {
			break
		}
		if i > 0 && (i+1 == len(turn) || turn[i+1].Role != RoleTool) {
			end, size = i+1, total
		}
	}
	if end == 0 {
		dropped.Add(reasonTooLarge, 1)
		return nil, 0
	}
	dropped.Add(reasonStepsCut, len(turn)-end)
	return turn[:end:end], size
}

// turnsOf divides messages before each prompt.
func turnsOf(messages []Message) [][]Message {
	var out [][]Message
	start := 0
	for i := range messages {
		if i > start && messages[i].Role == RoleUser {
			out = append(out, messages[start:i])
			start = i
		}
	}
	return append(out, messages[start:])
}
