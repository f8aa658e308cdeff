package llama

import "unicode/utf8"

// TextStream turns generated tokens into text that never ends inside a UTF-8
// sequence: bytes of an unfinished one wait for the next token.
type TextStream struct {
	vocab   *Vocab
	pending []byte
}

// NewTextStream starts a stream of v's pieces.
func NewTextStream(v *Vocab) *TextStream { return &TextStream{vocab: v} }

// Add returns the text that token completes. Control tokens add none.
func (s *TextStream) Add(token int32) string {
	if s.vocab.Control(token) {
		return ""
	}
	s.pending = append(s.pending, s.vocab.Decode([]int32{token})...)
	whole := len(s.pending) - unfinished(s.pending)
	text := string(s.pending[:whole])
	s.pending = append(s.pending[:0], s.pending[whole:]...)
	return text
}

// Flush returns what is left, whole or not.
func (s *TextStream) Flush() string {
	text := string(s.pending)
	s.pending = nil
	return text
}

// unfinished returns how many bytes at the end of b begin a UTF-8 sequence
// that more bytes could complete.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
