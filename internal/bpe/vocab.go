package bpe

import (
	"fmt"
	"strings"
)

// TokenType is llama.cpp's token type, as stored in tokenizer.ggml.token_type.
type TokenType int32

// The types that a byte-level vocabulary uses.
const (
	Normal  TokenType = 1 // text, spelt in the byte alphabet
	Control TokenType = 3 // special, never made from plain text
)

// Vocab is a trained vocabulary. Ids 0 to 255 are the bytes in order, then come
// the merges in order of rank, then the special tokens.
type Vocab struct {
	Tokens   []string    // the piece of each id, in the byte alphabet (specials: as they are)
	Types    []TokenType // parallel to Tokens
	Merges   []string    // "left right" in the byte alphabet, by rank
	Specials []string    // the special pieces, in id order
}

// Size is the number of tokens.
func (v *Vocab) Size() int { return len(v.Tokens) }

// Special returns the id of a special piece, and whether there is one.
func (v *Vocab) Special(piece string) (int32, bool) {
	for i, s := range v.Specials {
		if s == piece {
			return int32(len(v.Tokens) - len(v.Specials) + i), true
		}
	}
	return 0, false
}

// pair is a merge of two token ids.
type pair struct{ left, right int32 }

// newVocab names the tokens of a list of merges.
func newVocab(merges []pair, specials []string) *Vocab {
	v := &Vocab{Specials: append([]string(nil), specials...)}
	for _, r := range byteRunes {
		v.add(string(r), Normal)
	}
	for _, m := range merges {
		left, right := v.Tokens[m.left], v.Tokens[m.right]
		v.Merges = append(v.Merges, left+" "+right)
		v.add(left+right, Normal)
	}
	for _, s := range specials {
		v.add(s, Control)
	}
	return v
}

func (v *Vocab) add(piece string, t TokenType) {
	v.Tokens = append(v.Tokens, piece)
	v.Types = append(v.Types, t)
}

// splitMerge takes a stored merge apart.
func splitMerge(merge string) (left, right string, err error) {
	left, right, ok := strings.Cut(merge, " ")
	if !ok || left == "" || right == "" {
		return "", "", fmt.Errorf("merge %q is not two pieces with a space between", merge)
	}
	return left, right, nil
}
