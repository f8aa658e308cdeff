package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// encoder turns pieces of text into tokens and a mask. It is safe for
// concurrent use.
type encoder struct {
	t       Tokenizer
	special sync.Map // int32 -> bool
	// spaced is set for vocabularies of the SentencePiece kind, which put a
	// space before the text they encode.
	spaced bool
}

func newEncoder(t Tokenizer) *encoder {
	e := &encoder{t: t}
	if tokens, err := t.Encode("a", false); err == nil {
		e.spaced = strings.HasPrefix(t.Decode(tokens), " ")
	}
	return e
}

// encoded is a sample in the making.
type encoded struct {
	tokens []int32
	train  []bool
}

func (s *encoded) add(train bool, tokens ...int32) {
	s.tokens = append(s.tokens, tokens...)
	for range tokens {
		s.train = append(s.train, train)
	}
}

// pieces encodes a rendering cut into pieces. Each piece is encoded by itself,
// as at inference, where the prompt is encoded before the answer exists. At a
// special token that is the same as encoding the whole. Elsewhere it need not
// be, so there the text of the tokens is compared, and when a vocabulary adds
// something at the seams the whole is encoded and the mask laid over it.
func (e *encoder) pieces(pieces []piece) (*encoded, error) {
	var out encoded
	seams := false // between pieces, without a special token beside
	for _, p := range pieces {
		if p.text == "" {
			continue
		}
		tokens, err := e.t.Encode(p.text, true)
		if err != nil {
			return nil, fmt.Errorf("tokenise: %w", err)
		}
		if n := len(out.tokens); n > 0 && len(tokens) > 0 {
			seams = seams || !e.isSpecial(out.tokens[n-1]) && !e.isSpecial(tokens[0])
		}
		out.add(p.train, tokens...)
	}
	text := joinPieces(pieces)
	if e.sameText(e.t.Decode(out.tokens), text) {
		return &out, nil
	}
	whole, err := e.t.Encode(text, true)
	if err != nil {
		return nil, fmt.Errorf("tokenise: %w", err)
	}
	if slices.Equal(whole, out.tokens) || !seams && e.t.Decode(whole) == e.t.Decode(out.tokens) {
		return &out, nil // the vocabulary does not keep the text, seams or not
	}
	return e.overlay(whole, pieces, text)
}

func joinPieces(pieces []piece) string {
	var b strings.Builder
	for _, p := range pieces {
		b.WriteString(p.text)
	}
	return b.String()
}

// sameText compares a decoding with the text, allowing for the space that
// some vocabularies put in front.
func (e *encoder) sameText(decoded, text string) bool {
	return decoded == text || e.spaced && decoded == " "+text
}

// overlay marks the tokens of a whole rendering whose last byte lies in a
// trained piece.
func (e *encoder) overlay(tokens []int32, pieces []piece, text string) (*encoded, error) {
	decoded := e.t.Decode(tokens)
	if !e.sameText(decoded, text) {
		return nil, errors.New("the vocabulary does not keep the text at the edge of a trained part, so it cannot be masked")
	}
	end := len(text) - len(decoded) // -1 for a space in front
	out := &encoded{}
	at, edge := 0, 0
	for at < len(pieces) && edge == 0 {
		edge = len(pieces[at].text)
		if edge == 0 {
			at++
		}
	}
	for _, token := range tokens {
		end += len(e.t.Decode([]int32{token}))
		for end > edge && at+1 < len(pieces) {
			at++
			edge += len(pieces[at].text)
		}
		out.add(pieces[at].train, token)
	}
	if end != len(text) {
		return nil, errors.New("the vocabulary decodes tokens differently alone and together, so the text cannot be masked")
	}
	return out, nil
}

// isSpecial reports a token that only parsing special tokens yields.
func (e *encoder) isSpecial(token int32) bool {
	if known, ok := e.special.Load(token); ok {
		return known.(bool)
	}
	plain, err := e.t.Encode(e.t.Decode([]int32{token}), false)
	special := err == nil && !slices.Contains(plain, token)
	e.special.Store(token, special)
	return special
}

// raw encodes text that stands in the middle of a sequence, after a special
// token, and holds no special tokens itself: no space is put in front. The
// stand-in before the text takes that space and is cut off again.
func (e *encoder) raw(text string) ([]int32, error) {
	if !e.spaced || text == "" {
		return e.t.Encode(text, false)
	}
	const standIn = "\u263a"
	before, err := e.t.Encode(standIn, false)
	if err != nil {
		return nil, err
	}
	both, err := e.t.Encode(standIn+text, false)
	if err != nil {
		return nil, err
	}
	if len(both) < len(before) || !slices.Equal(both[:len(before)], before) {
		return e.t.Encode(text, false)
	}
	return both[len(before):], nil
}
