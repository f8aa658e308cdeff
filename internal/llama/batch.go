package llama

// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Batch is the input of one Decode: parallel slices, one element per token.
type Batch struct {
	Tokens []int32
	Pos    []int32 // position in the sequence; a sequence's positions are consecutive
	Seq    []int32 // sequence id, 0 up to ContextOptions.Sequences-1
	Logits []bool  // whether the logits after this token are wanted
}

// Add appends one token.
func (b *Batch) Add(token, pos, seq int32, logits bool) {
	b.Tokens = append(b.Tokens, token)
	b.Pos = append(b.Pos, pos)
	b.Seq = append(b.Seq, seq)
	b.Logits = append(b.Logits, logits)
}

// AddPrompt appends tokens of sequence seq from position pos on, and asks for
// logits after the last one only.
func (b *Batch) AddPrompt(tokens []int32, pos, seq int32) {
	for i, t := range tokens {
		b.Add(t, pos+int32(i), seq, i == len(tokens)-1)
	}
}

// Len returns the number of tokens.
func (b *Batch) Len() int { return len(b.Tokens) }

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	b.Tokens, b.Pos, b.Seq, b.Logits = b.Tokens[:0], b.Pos[:0], b.Seq[:0], b.Logits[:0]
}

// check refuses what libllama would assert on.
func (b *Batch) check(vocab, limit, sequences int) error {
	n := len(b.Tokens)
	if n == 0 {
		return fmt.Errorf("empty batch")
	}
	if len(b.Pos) != n || len(b.Seq) != n || len(b.Logits) != n {
		return fmt.Errorf("batch of %d tokens has %d positions, %d sequence ids, %d logits flags", n, len(b.Pos), len(b.Seq), len(b.Logits))
	}
	if n > limit {
		return fmt.Errorf("batch of %d tokens exceeds the context's batch size %d", n, limit)
	}
	for i, t := range b.Tokens {
		if t < 0 || int(t) >= vocab {
			return fmt.Errorf("token %d of the batch is %d, outside the vocabulary of %d", i, t, vocab)
		}
		if b.Seq[i] < 0 || int(b.Seq[i]) >= sequences {
			return fmt.Errorf("token %d of the batch is in sequence %d of %d", i, b.Seq[i], sequences)
		}
		if b.Pos[i] < 0 {
			return fmt.Errorf("token %d of the batch has position %d", i, b.Pos[i])
		}
	}
	return nil
}

// fill copies the batch into C memory allocated for at least as many tokens.
func (b *Batch) fill(c *C.struct_llama_batch) {
	n := len(b.Tokens)
	c.n_tokens = C.int32_t(n)
	copy(unsafe.Slice((*int32)(unsafe.Pointer(c.token)), n), b.Tokens)
	copy(unsafe.Slice((*int32)(unsafe.Pointer(c.pos)), n), b.Pos)
	counts := unsafe.Slice(c.n_seq_id, n)
	ids := unsafe.Slice(c.seq_id, n)
	flags := unsafe.Slice(c.logits, n)
	for i := range n {
		counts[i] = 1
		*ids[i] = C.int32_t(b.Seq[i])
		flags[i] = 0
		if b.Logits[i] {
			flags[i] = 1
		}
	}
}
