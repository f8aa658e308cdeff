package chatlog

import (
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// turns builds the messages of one segment.
type turns struct {
	o        *Options
	session  *session
	margin   int // of results, see newClip
	dropped  prep.Tally
	answers  map[string]block     // tool results of the file, by call id
	parts    map[string][]*record // assistant records of the file, by response
	taken    map[string]bool      // responses that an earlier segment holds
	messages []Message
	done     map[string]bool
	answered map[string]bool // call ids whose result is placed
	injected bool            // an injected prompt followed the last message
	unseen   bool            // replies answer a prompt that was left out
}

// build turns the records of a segment into messages.
func (t *turns) build(records []*record) []Message {
	t.done, t.answered = map[string]bool{}, map[string]bool{}
	for _, r := range records {
		switch {
		case r.Type == typeAssistant && r.message != nil:
			t.reply(r)
		case r.Type == typeUser && r.message != nil:
			t.user(r)
		case len(r.queued) > 0:
			t.prompt(r.queued, r.Meta)
		case r.Type == typeUser || r.Type == typeAssistant:
			t.dropped.Add(reasonUnreadable, 1)
		}
	}
	return t.finish()
}

// user places what a person typed. Tool results were placed with their calls.
func (t *turns) user(r *record) {
	results := 0
	var words []block
	for _, b := range r.message.blocks {
		if b.Type != blockToolResult {
			words = append(words, b)
			continue
		}
		results++
		if !t.answered[b.Answers] {
			t.dropped.Add(reasonNoCall, 1)
		}
	}
	if r.Compact && t.o.Summaries {
		t.summary(words)
		return
	}
	hidden := r.Meta || r.Compact || r.Transcript
	if len(words) > 0 {
		t.prompt(words, hidden)
	}
	if results > 0 {
		t.injected = false
	}
}

// prompt places the text of blocks as a user message, unless the program wrote
// it.
func (t *turns) prompt(blocks []block, hidden bool) {
	if hidden {
		t.dropped.Add(reasonInjected, 1)
		t.injected = true
		return
	}
	var texts []string
	for _, b := range blocks {
		text, reason := t.promptPart(b)
		t.dropped.Add(reason, oneIf(reason != ""))
		switch {
		case text != "":
			texts = append(texts, text)
		case reason == reasonInterrupted:
			t.interrupt()
		case reason != "":
			t.injected = true
		}
	}
	if len(texts) > 0 {
		t.say(strings.Join(texts, "\n\n"))
	}
}

// summary places what a compaction left of the conversation before it.
func (t *turns) summary(blocks []block) {
	for _, b := range blocks {
		if text := plain(b.Text); text != "" {
			t.say(text)
		}
	}
}

func (t *turns) promptPart(b block) (text, reason string) {
	switch b.Type {
	case blockText:
		return promptText(b.Text)
	case blockImage, blockDocument:
		return "", reasonImage
	default:
		return "", ""
	}
}

// say adds a user message, or adds to the one before.
func (t *turns) say(text string) {
	t.injected, t.unseen = false, false
	if last := t.last(); last != nil && last.Role == RoleUser {
		last.Content += "\n\n" + text
		return
	}
	t.messages = append(t.messages, Message{Role: RoleUser, Content: text})
}

// interrupt holds back the reply that was cut short, if there is one.
func (t *turns) interrupt() {
	for i := len(t.messages) - 1; i >= 0; i-- {
		switch t.messages[i].Role {
		case RoleUser:
			return
		case RoleAssistant:
			t.messages[i].hold(heldInterrupted)
			return
		}
	}
}

func (t *turns) last() *Message {
	if len(t.messages) == 0 {
		return nil
	}
	return &t.messages[len(t.messages)-1]
}

// reply places the whole response that r is part of, with its results.
func (t *turns) reply(r *record) {
	key := r.responseKey()
	if t.done[key] || t.taken[key] {
		return
	}
	t.done[key] = true
	var records []*record
	for _, part := range t.parts[key] {
		if isFailure(part) {
			t.dropped.Add(reasonFailure, 1)
			continue
		}
		records = append(records, part)
	}
	m, results := t.assemble(mergeResponse(key, records))
	if m.Content == "" && len(m.ToolCalls) == 0 {
		return
	}
	t.taken[key] = true
	t.place(m, results)
}

// place adds a reply and its results where they answer something visible.
func (t *turns) place(m Message, results []Message) {
	last := t.last()
	if last != nil && last.Role == RoleAssistant && t.injected {
		t.unseen = true // it answers what is not part of the conversation
	}
	switch {
	case last == nil || t.unseen:
		t.dropped.Add(reasonNoPrompt, 1)
		return
	case last.Role == RoleAssistant:
		t.join(last, m)
	default:
		t.messages = append(t.messages, m)
	}
	t.injected = false
	t.messages = append(t.messages, results...)
}

// join adds a reply to the one directly before it.
func (t *turns) join(last *Message, m Message) {
	last.Content = strings.TrimSpace(last.Content + "\n\n" + m.Content)
	last.Reasoning = strings.TrimSpace(last.Reasoning + "\n\n" + m.Reasoning)
	last.ToolCalls = append(last.ToolCalls, m.ToolCalls...)
	last.keys = append(last.keys, m.keys...)
	if !m.trained() {
		last.hold(m.heldFor)
	}
}

// finish drops what stands at the end without a reply.
func (t *turns) finish() []Message {
	for len(t.messages) > 0 && t.last().Role == RoleUser {
		t.messages = t.messages[:len(t.messages)-1]
		t.dropped.Add(reasonTrailing, 1)
	}
	return t.messages
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}
