package llama

// #include "bridge.h"
import "C"

import (
	"fmt"
	"math"
	"strconv"
	"sync"
	"unsafe"
)

// Vocab is a model's tokenizer. It may be used from several goroutines.
type Vocab struct {
	model  *Model
	handle *C.struct_llama_vocab // nil once the model is closed
	mu     sync.RWMutex          // held for writing only while the model closes

	none                            bool // the file carries no tokenizer
	size                            int
	bos, eos, eot                   int32
	addBOS                          bool
	fimPrefix, fimSuffix, fimMiddle int32
	fimRepo, fimSep, fimPad         int32
	endOfGeneration, control        map[int32]bool
	texts                           func() map[string]int32
}

// newVocab reads everything but the pieces, so that the getters need no call
// into C and outlive the model.
func newVocab(m *Model) *Vocab {
	h := C.llama_model_get_vocab(m.handle)
	v := &Vocab{
		model: m, handle: h,
		none:      C.llama_vocab_type(h) == C.QL_VOCAB_TYPE_NONE,
		size:      int(C.llama_vocab_n_tokens(h)),
		bos:       int32(C.llama_vocab_bos(h)),
		eos:       int32(C.llama_vocab_eos(h)),
		addBOS:    bool(C.llama_vocab_get_add_bos(h)),
		fimPrefix: int32(C.llama_vocab_fim_pre(h)),
		fimSuffix: int32(C.llama_vocab_fim_suf(h)),
		fimMiddle: int32(C.llama_vocab_fim_mid(h)),
		fimRepo:   int32(C.llama_vocab_fim_rep(h)),
		fimSep:    int32(C.llama_vocab_fim_sep(h)),
		fimPad:    int32(C.llama_vocab_fim_pad(h)),
	}
	v.readAttributes(h)
	v.eot = v.findEndOfTurn(h)
	v.texts = sync.OnceValue(v.readTexts)
	return v
}

func (v *Vocab) readAttributes(h *C.struct_llama_vocab) {
	v.endOfGeneration, v.control = map[int32]bool{}, map[int32]bool{}
	if v.none {
		return
	}
	for t := range int32(v.size) {
		if C.llama_vocab_is_eog(h, C.int32_t(t)) {
			v.endOfGeneration[t] = true
		}
		if C.llama_vocab_is_control(h, C.int32_t(t)) {
			v.control[t] = true
		}
	}
}

// turnEnds are the names of end-of-turn tokens by family: ChatML, Llama 3,
// Gemma, Phi 3.
var turnEnds = []string{"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>"}

// findEndOfTurn returns what the file names, then a token of a known family.
// libllama's own guess comes last: among several candidates, of which the end
// of text is one, it takes whichever its hash table holds first.
func (v *Vocab) findEndOfTurn(h *C.struct_llama_vocab) int32 {
	if text, ok := v.model.Meta("tokenizer.ggml.eot_token_id"); ok {
		if id, err := strconv.ParseInt(text, 10, 32); err == nil && id >= 0 && int(id) < v.size {
			return int32(id)
		}
	}
	for _, name := range turnEnds {
		if tokens, err := v.Encode(name, true); err == nil && len(tokens) == 1 && v.control[tokens[0]] {
			return tokens[0]
		}
	}
	return int32(C.llama_vocab_eot(h))
}

func (v *Vocab) readTexts() map[string]int32 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	texts := make(map[string]int32, v.size)
	if v.handle == nil || v.none {
		return texts
	}
	for t := range int32(v.size) {
		texts[C.GoString(C.llama_vocab_get_text(v.handle, C.int32_t(t)))] = t
	}
	return texts
}

func (v *Vocab) detach() {
	v.mu.Lock()
	v.handle = nil
	v.mu.Unlock()
}

// Encode returns the tokens of text. It never adds a beginning or end token.
// With parseSpecial, text such as "<|im_end|>" becomes the control token of
// that name; without it, such text is split like any other.
func (v *Vocab) Encode(text string, parseSpecial bool) ([]int32, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > math.MaxInt32/2 {
		return nil, fmt.Errorf("tokenise %d bytes: at most 1 GiB at a time", len(text))
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	if v.handle == nil {
		return nil, fmt.Errorf("tokenise with %s: %w", v.model.path, ErrClosed)
	}
	if v.none {
		return nil, fmt.Errorf("tokenise with %s: the file has no tokenizer", v.model.path)
	}
	tokens := make([]int32, len(text)/2+8)
	n := v.tokenize(text, tokens, parseSpecial)
	if n < 0 && n != C.QL_THREW {
		tokens = make([]int32, -n)
		n = v.tokenize(text, tokens, parseSpecial)
	}
	if n < 0 {
		return nil, fmt.Errorf("tokenise with %s: the vocabulary cannot express the text", v.model.path)
	}
	return tokens[:n:n], nil
}

func (v *Vocab) tokenize(text string, tokens []int32, parseSpecial bool) int {
	return int(C.ql_tokenize(v.handle,
		(*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.int32_t(len(text)),
		(*C.int32_t)(unsafe.Pointer(&tokens[0])), C.int32_t(len(tokens)), C.bool(parseSpecial)))
}

// Decode joins the pieces of tokens; control tokens are rendered as their
// text. Ids outside the vocabulary are left out. A piece may end inside a
// UTF-8 sequence. Vocabularies of the SentencePiece kind put a space before
// the first word of what they encode; it is kept.
func (v *Vocab) Decode(tokens []int32) string {
	known := v.known(tokens)
	v.mu.RLock()
	defer v.mu.RUnlock()
	if len(known) == 0 || v.handle == nil || v.none {
		return ""
	}
	buf := make([]byte, 16*len(known)+64)
	n := v.detokenize(known, buf)
	if n < 0 && n != C.QL_THREW {
		buf = make([]byte, -n)
		n = v.detokenize(known, buf)
	}
	if n < 0 {
		return ""
	}
	return string(buf[:n])
}

// known returns tokens without the ids that the vocabulary does not have.
func (v *Vocab) known(tokens []int32) []int32 {
	for i, t := range tokens {
		if t >= 0 && int(t) < v.size {
			continue
		}
		kept := append([]int32(nil), tokens[:i]...)
		return append(kept, v.known(tokens[i+1:])...)
	}
	return tokens
}

func (v *Vocab) detokenize(tokens []int32, buf []byte) int64 {
	return int64(C.ql_detokenize(v.handle,
		(*C.int32_t)(unsafe.Pointer(&tokens[0])), C.int64_t(len(tokens)),
		(*C.char)(unsafe.Pointer(&buf[0])), C.int64_t(len(buf))))
}

// Lookup returns the id of the vocabulary entry whose stored text is exactly
// piece. Byte-level vocabularies store ordinary text in their own spelling
// ("Ġthe" for " the"); control tokens are stored as they read.
func (v *Vocab) Lookup(piece string) (int32, bool) {
	id, ok := v.texts()[piece]
	return id, ok
}

// Size returns the number of entries.
func (v *Vocab) Size() int { return v.size }

// BOS returns the beginning-of-text token, or -1.
func (v *Vocab) BOS() int32 { return v.bos }

// EOS returns the end-of-text token, or -1.
func (v *Vocab) EOS() int32 { return v.eos }

// EOT returns the end-of-turn token, or -1.
func (v *Vocab) EOT() int32 { return v.eot }

// AddBOS tells whether texts start with BOS by the model's own settings.
func (v *Vocab) AddBOS() bool { return v.addBOS }

// FIMPrefix returns the token before the text before the gap, or -1.
func (v *Vocab) FIMPrefix() int32 { return v.fimPrefix }

// FIMSuffix returns the token before the text after the gap, or -1.
func (v *Vocab) FIMSuffix() int32 { return v.fimSuffix }

// FIMMiddle returns the token before the text in the gap, or -1.
func (v *Vocab) FIMMiddle() int32 { return v.fimMiddle }

// FIMRepo returns the token before a repository's name, or -1.
func (v *Vocab) FIMRepo() int32 { return v.fimRepo }

// FIMSep returns the token between files, or -1.
func (v *Vocab) FIMSep() int32 { return v.fimSep }

// FIMPad returns the padding token of fill-in-the-middle samples, or -1.
func (v *Vocab) FIMPad() int32 { return v.fimPad }

// EndsGeneration tells whether a generated token ends the answer (end of
// text, end of turn and their like).
func (v *Vocab) EndsGeneration(token int32) bool { return v.endOfGeneration[token] }

// Control tells whether token is a control token, which carries no text.
func (v *Vocab) Control(token int32) bool { return v.control[token] }

// Text is Decode without control tokens: what a reader should see.
func (v *Vocab) Text(tokens []int32) string {
	visible := make([]int32, 0, len(tokens))
	for _, t := range tokens {
		if !v.control[t] {
			visible = append(visible, t)
		}
	}
	return v.Decode(visible)
}

// EncodePrompt encodes text as the start of a sequence: control tokens are
// recognised, and BOS comes first when the model wants it and the text (such
// as a rendered chat template) does not bring it.
func (v *Vocab) EncodePrompt(text string) ([]int32, error) {
	tokens, err := v.Encode(text, true)
	if err != nil {
		return nil, err
	}
	if v.addBOS && v.bos >= 0 && (len(tokens) == 0 || tokens[0] != v.bos) {
		tokens = append([]int32{v.bos}, tokens...)
	}
	return tokens, nil
}
