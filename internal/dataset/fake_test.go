package dataset

import (
	"strings"
	"time"
)

// fakeTokenizer is a vocabulary of the 256 bytes, the merges (multi-byte
// pieces, longest match first) and the special tokens after them.
type fakeTokenizer struct {
	pieces   []string // by id
	merges   int      // pieces[256:256+merges] are ordinary
	bos, eos int32
	eot      int32
	addBOS   bool
	spaced   bool // put a space before encoded text, as SentencePiece does
	fim      [3]int32
}

var chatSpecials = []string{"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>",
	"<|eot_id|>", "[INST]", "[/INST]", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|endoftext|>"}

func newFake(specials []string, merges ...string) *fakeTokenizer {
	f := &fakeTokenizer{bos: -1, eos: -1, eot: -1, fim: [3]int32{-1, -1, -1}, merges: len(merges)}
	for b := range 256 {
		f.pieces = append(f.pieces, string([]byte{byte(b)}))
	}
	f.pieces = append(append(f.pieces, merges...), specials...)
	return f
}

// chatFake is a ChatML model's vocabulary.
func chatFake() *fakeTokenizer {
	f := newFake(chatSpecials)
	f.bos, f.eos, f.eot = f.id("<s>"), f.id("<|endoftext|>"), f.id("<|im_end|>")
	return f
}

func (f *fakeTokenizer) id(piece string) int32 {
	id, ok := f.Lookup(piece)
	if !ok {
		return -1
	}
	return id
}

func (f *fakeTokenizer) Encode(text string, parseSpecial bool) ([]int32, error) {
	var out []int32
	fresh := true // at the start or after a special token
	for text != "" {
		from, to := 0, 256+f.merges
		if parseSpecial {
			to = len(f.pieces)
		}
		best := -1
		for id := from; id < to; id++ {
			if strings.HasPrefix(text, f.pieces[id]) && (best < 0 || len(f.pieces[id]) > len(f.pieces[best])) {
				best = id
			}
		}
		special := best >= 256+f.merges
		if fresh && f.spaced && !special {
			out = append(out, ' ')
		}
		fresh = special
		out = append(out, int32(best))
		text = text[len(f.pieces[best]):]
	}
	return out, nil
}

func (f *fakeTokenizer) Decode(tokens []int32) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(f.pieces[t])
	}
	return b.String()
}

func (f *fakeTokenizer) Lookup(piece string) (int32, bool) {
	for id := len(f.pieces) - 1; id >= 0; id-- {
		if f.pieces[id] == piece {
			return int32(id), true
		}
	}
	return -1, false
}

func (f *fakeTokenizer) Size() int        { return len(f.pieces) }
func (f *fakeTokenizer) BOS() int32       { return f.bos }
func (f *fakeTokenizer) EOS() int32       { return f.eos }
func (f *fakeTokenizer) EOT() int32       { return f.eot }
func (f *fakeTokenizer) AddBOS() bool     { return f.addBOS }
func (f *fakeTokenizer) FIMPrefix() int32 { return f.fim[0] }
func (f *fakeTokenizer) FIMSuffix() int32 { return f.fim[1] }
func (f *fakeTokenizer) FIMMiddle() int32 { return f.fim[2] }
func (f *fakeTokenizer) FIMRepo() int32   { return -1 }
func (f *fakeTokenizer) FIMSep() int32    { return -1 }
func (f *fakeTokenizer) FIMPad() int32    { return -1 }

var testDay = time.Date(2025, 3, 9, 12, 0, 0, 0, time.UTC)

// marked is the text of a sample with its trained part in [[ ]].
func marked(tokens []int32, train []bool, t Tokenizer) string {
	var b strings.Builder
	for i, token := range tokens {
		if train[i] && (i == 0 || !train[i-1]) {
			b.WriteString("[[")
		}
		b.WriteString(t.Decode([]int32{token}))
		if train[i] && (i+1 == len(tokens) || !train[i+1]) {
			b.WriteString("]]")
		}
	}
	return b.String()
}
