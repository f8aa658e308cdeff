package dataset

import (
	"errors"
	"fmt"
	"slices"

	"github.com/qlora/qlora/internal/dataset/jinja"
)

// OverLength says what becomes of a record longer than MaxLength tokens.
type OverLength string

// The policies for over-length records.
const (
	// OverDrop leaves the record out.
	OverDrop OverLength = "drop"
	// OverTruncate keeps the first MaxLength tokens. A FIM record loses text
	// far from the hole instead, so that middle and end token survive.
	OverTruncate OverLength = "truncate"
	// OverSplit cuts text into windows, and a chat at turns of the user into
	// conversations that repeat the system prompt; every token is trained once.
	// Other records have no place to be cut and are refused.
	OverSplit OverLength = "split"
	// OverError stops.
	OverError OverLength = "error"
)

// ParseOverLength reads the value of --over-length; empty is OverTruncate.
func ParseOverLength(s string) (OverLength, error) {
	switch p := OverLength(s); p {
	case "":
		return OverTruncate, nil
	case OverDrop, OverTruncate, OverSplit, OverError:
		return p, nil
	}
	return "", fmt.Errorf("over-length %q: want drop, truncate, split or error", s)
}

// outcome is what became of one record.
type outcome struct {
	samples []encoded
	over    bool
	length  int // tokens of the whole record, when over
	lost    int // tokens cut off or dropped
	turns   turnCounts
}

// build makes the samples of a record, none when it is dropped.
func (b *builder) build(r *record) (outcome, error) {
	s, turns, err := b.encode(r)
	if err != nil {
		return outcome{}, err
	}
	if len(s.tokens) <= b.o.MaxLength {
		return outcome{samples: []encoded{*s}, turns: turns}, nil
	}
	out := outcome{over: true, length: len(s.tokens), turns: turns}
	switch b.o.OverLength {
	case OverError:
		return out, fmt.Errorf("%w: %d tokens, at most %d fit", errOverLength, len(s.tokens), b.o.MaxLength)
	case OverTruncate:
		short, err := b.truncate(r, s)
		if err != nil {
			return out, err
		}
		if short == nil || !slices.Contains(short.train[1:], true) {
			out.lost = len(s.tokens)
			return out, nil
		}
		out.samples = []encoded{*short}
		out.lost = len(s.tokens) - len(short.tokens)
	case OverSplit:
		out.samples, err = b.split(r, s)
		return out, err
	default:
		out.lost = len(s.tokens)
	}
	return out, nil
}

var errOverLength = errors.New("over-length record")

func (b *builder) truncate(r *record, s *encoded) (*encoded, error) {
	if r.kind == KindFIM {
		short, _, err := b.fim(r, b.o.MaxLength)
		return short, err
	}
	n := b.o.MaxLength
	return &encoded{tokens: s.tokens[:n:n], train: s.train[:n:n]}, nil
}

func (b *builder) split(r *record, s *encoded) ([]encoded, error) {
	switch {
	case r.kind == KindText:
		return b.splitText(s), nil
	case r.chat == nil || r.chat.completion > 0 || b.o.Loss == LossCompletion:
		return nil, fmt.Errorf("%d tokens, at most %d fit, and a %s record trained on its completion cannot be split: drop or truncate it",
			len(s.tokens), b.o.MaxLength, r.kind)
	}
	return b.splitChat(r.chat)
}

// splitText cuts a text into windows. Each begins with BOS where the model
// wants it, otherwise with the last token of the one before as context, so
// that no token goes untrained.
func (b *builder) splitText(s *encoded) []encoded {
	begin := b.begin()
	body := s.tokens[len(begin):]
	overlap := 1
	if len(begin) > 0 {
		overlap = 0
	}
	var windows []encoded
	for at := 0; at < len(body); {
		var w encoded
		w.add(false, begin...)
		from := at
		if at > 0 {
			from -= overlap
		}
		to := min(len(body), from+b.o.MaxLength-len(begin))
		w.add(false, body[from:at]...)
		w.add(true, body[at:to]...)
		windows = append(windows, w)
		at = to
	}
	return windows
}

// splitChat packs whole exchanges, each from a user's message to the next, into
// conversations that fit.
func (b *builder) splitChat(c *chat) ([]encoded, error) {
	system, exchanges := cutExchanges(c.messages)
	var windows []encoded
	var fitting *encoded
	current := slices.Clone(system)
	for i, exchange := range exchanges {
		grown, err := b.window(c, slices.Concat(current, exchange))
		if err != nil {
			return nil, err
		}
		if len(grown.tokens) > b.o.MaxLength && fitting != nil {
			windows = append(windows, *fitting)
			current = slices.Clone(system)
			if grown, err = b.window(c, slices.Concat(current, exchange)); err != nil {
				return nil, err
			}
		}
		if len(grown.tokens) > b.o.MaxLength {
			return nil, fmt.Errorf("exchange %d of the conversation alone has %d tokens, at most %d fit: drop or truncate it",
				i+1, len(grown.tokens), b.o.MaxLength)
		}
		current = append(current, exchange...)
		fitting = grown
	}
	return append(windows, *fitting), nil
}

func (b *builder) window(c *chat, messages []any) (*encoded, error) {
	s, _, err := b.chat(&chat{messages: messages, tools: c.tools})
	return s, err
}

// cutExchanges separates the system prompt and cuts what follows before each
// message of the user. There is at least one exchange.
func cutExchanges(messages []any) (system []any, exchanges [][]any) {
	if role(messages[0]) == "system" && len(messages) > 1 {
		system, messages = messages[:1], messages[1:]
	}
	start := 0
	for i := 1; i < len(messages); i++ {
		if role(messages[i]) == "user" {
			exchanges = append(exchanges, messages[start:i])
			start = i
		}
	}
	return system, append(exchanges, messages[start:])
}

func role(message any) string {
	v, _ := message.(*jinja.Dict).Get("role")
	s, _ := v.(string)
	return s
}
