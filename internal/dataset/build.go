package dataset

import (
	"fmt"
	"sync"
)

// builder makes samples of records. It is safe for concurrent use.
type builder struct {
	o         LoadOptions
	t         Tokenizer
	e         *encoder
	special   map[string]string // variables of the chat template
	fimTokens func() (FIMTokens, error)
}

func newBuilder(o LoadOptions, t Tokenizer) *builder {
	return &builder{o: o, t: t, e: newEncoder(t), special: specialTokens(t),
		fimTokens: sync.OnceValues(func() (FIMTokens, error) { return FindFIM(t) })}
}

// begin is BOS where the model wants it.
func (b *builder) begin() []int32 {
	if b.t.AddBOS() && b.t.BOS() >= 0 {
		return []int32{b.t.BOS()}
	}
	return nil
}

// turnCounts are assistant turns, and parts of records, that a report warns
// about.
type turnCounts struct {
	open      int // no end token closes them
	lostCalls int // the template leaves their tool calls out
	// lostContext is 1 for a FIM record whose context the model has no way to
	// show.
	lostContext int
}

// encode makes one sequence of a record, however long.
func (b *builder) encode(r *record) (s *encoded, counts turnCounts, err error) {
	switch r.kind {
	case KindFIM:
		return b.fim(r, 0)
	case KindText:
		s, err = b.plain([]piece{{r.completion, true}})
		return s, counts, err
	}
	if r.chat != nil {
		return b.chat(r.chat)
	}
	s, err = b.plain([]piece{{r.prompt, b.o.Loss == LossAll}, {r.completion, true}})
	return s, counts, err
}

// plain encodes text without a template and closes it with the end token.
func (b *builder) plain(pieces []piece) (*encoded, error) {
	end := endOfText(b.t)
	if end < 0 {
		return nil, errNoEnd
	}
	body, err := b.e.pieces(pieces)
	if err != nil {
		return nil, err
	}
	out := b.withBegin(body)
	if n := len(out.tokens); n == 0 || out.tokens[n-1] != end {
		out.add(true, end)
	}
	return out, nil
}

// chat encodes a rendered conversation. After the token that ends an assistant
// turn a template may add a newline; generation stops before it, so it is not
// trained.
func (b *builder) chat(c *chat) (s *encoded, counts turnCounts, err error) {
	pieces, lostCalls, err := b.chatPieces(c)
	if err != nil {
		return nil, counts, err
	}
	body, err := b.e.pieces(pieces)
	if err != nil {
		return nil, counts, err
	}
	if len(body.tokens) == 0 {
		return nil, counts, fmt.Errorf("chat template of %s renders nothing", b.o.Template.Source)
	}
	if b.o.Loss != LossAll {
		counts.open = b.closeTurns(body)
	}
	counts.lostCalls = lostCalls
	return b.withBegin(body), counts, nil
}

// closeTurns ends each trained stretch with its last end token and returns
// the number of stretches that have none.
func (b *builder) closeTurns(s *encoded) (open int) {
	for start := 0; start < len(s.train); {
		if !s.train[start] {
			start++
			continue
		}
		end := start
		for end < len(s.train) && s.train[end] {
			end++
		}
		last := end - 1
		for last >= start && s.tokens[last] != b.t.EOS() && s.tokens[last] != b.t.EOT() {
			last--
		}
		if last < start {
			open++
		} else {
			for i := last + 1; i < end; i++ {
				s.train[i] = false
			}
		}
		start = end
	}
	return open
}

// withBegin puts BOS before a sequence, once.
func (b *builder) withBegin(s *encoded) *encoded {
	begin := b.begin()
	if len(begin) == 0 || len(s.tokens) > 0 && s.tokens[0] == begin[0] {
		return s
	}
	out := &encoded{}
	out.add(false, begin...)
	out.tokens = append(out.tokens, s.tokens...)
	out.train = append(out.train, s.train...)
	return out
}
