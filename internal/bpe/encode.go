package bpe

import (
	"fmt"
	"strings"
)

// Encoder turns text into token ids exactly as libllama does with the same
// vocabulary and pre-tokeniser "llama-bpe": a word that is itself a token is
// taken whole, any other is merged by rank.
type Encoder struct {
	vocab    *Vocab
	ids      map[string]int32 // by raw bytes; specials not included
	ranks    map[pair]int32
	merged   map[pair]int32
	specials map[string]int32
}

// NewEncoder prepares a vocabulary for encoding.
func NewEncoder(v *Vocab) (*Encoder, error) {
	e := &Encoder{
		vocab: v, ids: make(map[string]int32), ranks: make(map[pair]int32),
		merged: make(map[pair]int32), specials: make(map[string]int32),
	}
	for id, piece := range v.Tokens {
		if v.Types[id] == Normal {
			e.ids[Unspell(piece)] = int32(id)
			continue
		}
		e.specials[piece] = int32(id)
	}
	for rank, m := range v.Merges {
		if err := e.addMerge(m, int32(rank)); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (e *Encoder) addMerge(merge string, rank int32) error {
	left, right, err := splitMerge(merge)
	if err != nil {
		return err
	}
	l, okLeft := e.ids[Unspell(left)]
	r, okRight := e.ids[Unspell(right)]
	id, ok := e.ids[Unspell(left)+Unspell(right)]
	if !okLeft || !okRight || !ok {
		return fmt.Errorf("merge %d, %q, uses a piece that is not in the vocabulary", rank, merge)
	}
	e.ranks[pair{l, r}] = rank
	e.merged[pair{l, r}] = id
	return nil
}

// Encode returns the ids of text. With parseSpecial the pieces of special
// tokens in the text become those tokens; without, they are plain text.
func (e *Encoder) Encode(text string, parseSpecial bool) []int32 {
	var out []int32
	for parseSpecial && text != "" {
		at, piece := e.nextSpecial(text)
		if piece == "" {
			break
		}
		out = append(e.encodePlain(out, text[:at]), e.specials[piece])
		text = text[at+len(piece):]
	}
	return e.encodePlain(out, text)
}

// nextSpecial finds the first special piece in text, the longest when two begin
// at one place; the piece is empty when there is none.
func (e *Encoder) nextSpecial(text string) (at int, piece string) {
	for s := range e.specials {
		i := strings.Index(text, s)
		if i < 0 {
			continue
		}
		if piece == "" || i < at || i == at && len(s) > len(piece) {
			at, piece = i, s
		}
	}
	return at, piece
}

func (e *Encoder) encodePlain(out []int32, text string) []int32 {
	for w := range Split(Clean(text)) {
		if id, ok := e.ids[w]; ok {
			out = append(out, id)
			continue
		}
		out = append(out, e.mergeWord(w)...)
	}
	return out
}

// mergeWord applies the lowest-ranked merge, leftmost first, until none is left.
func (e *Encoder) mergeWord(w string) []int32 {
	ids := make([]int32, len(w))
	for i := range len(w) {
		ids[i] = e.ids[w[i:i+1]]
	}
	for {
		best, at := int32(-1), 0
		for i := 1; i < len(ids); i++ {
			if rank, ok := e.ranks[pair{ids[i-1], ids[i]}]; ok && (best < 0 || rank < best) {
				best, at = rank, i
			}
		}
		if best < 0 {
			return ids
		}
		ids[at-1] = e.merged[pair{ids[at-1], ids[at]}]
		ids = append(ids[:at], ids[at+1:]...)
	}
}

// Decode returns the bytes that the ids stand for; specials as their pieces.
func (e *Encoder) Decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id < 0 || int(id) >= len(e.vocab.Tokens) {
			continue
		}
		if piece := e.vocab.Tokens[id]; e.vocab.Types[id] == Normal {
			b.WriteString(Unspell(piece))
		} else {
			b.WriteString(piece)
		}
	}
	return b.String()
}
