package dataset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// Loss says which tokens are predicted with loss.
type Loss string

// What may be trained on.
const (
	// LossAssistant trains on what the assistant says, the end of its turns
	// included; on the completion of prompt/completion and FIM records; and on
	// the whole of plain text.
	LossAssistant Loss = "assistant"
	// LossAll trains on every token.
	LossAll Loss = "all"
	// LossCompletion trains on the last assistant turn of a chat alone, and
	// otherwise as LossAssistant does.
	LossCompletion Loss = "completion"
)

// ParseLoss reads the value of --loss; empty is LossAssistant.
func ParseLoss(s string) (Loss, error) {
	switch l := Loss(s); l {
	case "":
		return LossAssistant, nil
	case LossAssistant, LossAll, LossCompletion:
		return l, nil
	}
	return "", fmt.Errorf("loss %q: want assistant, all or completion", s)
}

// piece is a stretch of a rendering that is trained, or is not.
type piece struct {
	text  string
	train bool
}

// chatPieces renders a chat and finds the assistant's part of it by rendering
// prefixes: what the template adds for a message, beyond the prompt for it, is
// that message. LostCalls counts turns whose tool calls are left out. This holds for any template whose longer renderings begin with
// its shorter ones, and needs no knowledge of the template's format.
func (b *builder) chatPieces(c *chat) (pieces []piece, lostCalls int, err error) {
	whole, err := b.render(c.messages, c.tools, false)
	if err != nil {
		return nil, 0, err
	}
	turns, lostCalls := b.callTurns(c, b.trainedTurns(c))
	if b.o.Loss == LossAll {
		return []piece{{whole, true}}, lostCalls, nil
	}
	done := 0 // bytes of whole that pieces cover
	for _, k := range turns {
		start, end, err := b.turn(c, k, whole)
		if err != nil {
			return nil, 0, err
		}
		if start < done {
			return nil, 0, b.unstable(k, "the prompt for it is cut into the turn before")
		}
		if start > done {
			pieces = append(pieces, piece{whole[done:start], false})
		}
		pieces = append(pieces, piece{whole[start:end], true})
		done = end
	}
	if done < len(whole) {
		pieces = append(pieces, piece{whole[done:], false})
	}
	return pieces, lostCalls, nil
}

// trainedTurns are the indices of the messages that carry loss. A message may
// opt out with "train": false or "weight": 0.
func (b *builder) trainedTurns(c *chat) []int {
	var turns []int
	for k := c.completion; k < len(c.messages); k++ {
		m := c.messages[k].(*jinja.Dict)
		if role, _ := m.Get("role"); role != "assistant" {
			continue
		}
		train, _ := m.Get("train")
		weight, _ := m.Get("weight")
		if train == false || weight == int64(0) || weight == 0.0 {
			continue
		}
		turns = append(turns, k)
	}
	if b.o.Loss == LossCompletion && len(turns) > 1 {
		turns = turns[len(turns)-1:]
	}
	return turns
}

// callTurns counts the assistant turns whose tool calls the template leaves
// out, and returns the turns that carry loss without those of them that say
// nothing else: what is left of such a turn is its end, and training on it
// teaches the model to be silent where it should call a tool.
func (b *builder) callTurns(c *chat, turns []int) (kept []int, lost int) {
	if b.o.Template.rendersCalls(b.special) {
		return turns, 0
	}
	for _, k := range turns {
		m := c.messages[k].(*jinja.Dict)
		if !has(m, "tool_calls") {
			kept = append(kept, k)
			continue
		}
		lost++
		if content, _ := m.Get("content"); content != "" {
			kept = append(kept, k)
		}
	}
	return kept, lost
}

// turn is the range of whole that message k fills.
func (b *builder) turn(c *chat, k int, whole string) (start, end int, err error) {
	prompt, err := b.render(c.messages[:k], c.tools, true)
	if err != nil {
		if k == 0 {
			return 0, 0, fmt.Errorf("the assistant speaks first, which the template cannot render: %w", err)
		}
		return 0, 0, err
	}
	full := whole
	if k+1 < len(c.messages) {
		if full, err = b.render(c.messages[:k+1], c.tools, false); err != nil {
			return 0, 0, err
		}
	}
	if !strings.HasPrefix(full, prompt) {
		return 0, 0, b.unstable(k, "the turn does not begin with the prompt for it")
	}
	if !strings.HasPrefix(whole, full) {
		return 0, 0, b.unstable(k, "what follows the turn changes what is before it")
	}
	return len(prompt), len(full), nil
}

// errUnstable marks templates whose longer renderings do not extend the
// shorter ones.
var errUnstable = errors.New("rendering of a longer conversation does not extend the shorter one")

func (b *builder) unstable(k int, why string) error {
	return fmt.Errorf("chat template of %s: %w at message %d: %s", b.o.Template.Source, errUnstable, k+1, why)
}

func (b *builder) render(messages []any, tools any, prompt bool) (string, error) {
	if b.o.Template == nil {
		return "", errNoTemplate
	}
	return b.o.Template.render(messages, tools, prompt, b.special)
}

var errNoTemplate = errors.New("the model has no chat template, which chats need")
