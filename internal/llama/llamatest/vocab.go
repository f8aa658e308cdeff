package llamatest

// vocab is a byte-level BPE vocabulary: control tokens, 256 bytes, merges.
type vocab struct {
	tokens []string
	types  []int32
	merges []string
}

// Token types of GGUF.
const (
	typeNormal  = 1
	typeControl = 3
)

// Ids of the control tokens of every tiny model.
const (
	EndOfText = int32(iota)
	TurnStart
	TurnEnd
	FIMPrefix
	FIMSuffix
	FIMMiddle
	FIMPad
	Repo
	FileSep
	firstByte
)

var controls = []string{
	"<|endoftext|>", "<|im_start|>", "<|im_end|>",
	"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
}

// merges are spelled in the byte alphabet, where Ġ stands for a space.
var merges = [][2]string{{"Ġ", "t"}, {"h", "e"}, {"Ġt", "he"}, {"i", "n"}, {"r", "e"}, {"f", "u"}, {"fu", "n"}}

func vocabulary(o Options) vocab {
	v := vocab{}
	for i, name := range controls {
		if o.NoFIM && int32(i) >= FIMPrefix {
			name = "<|unused" + string(rune('0'+i)) + "|>"
		}
		v.add(name, typeControl)
	}
	for b := range 256 {
		v.add(string(byteRune(b)), typeNormal)
	}
	for _, m := range merges {
		v.add(m[0]+m[1], typeNormal)
		v.merges = append(v.merges, m[0]+" "+m[1])
	}
	return v
}

func (v *vocab) add(text string, kind int32) {
	v.tokens = append(v.tokens, text)
	v.types = append(v.types, kind)
}

// ByteToken returns the id of the token that stands for one byte.
func ByteToken(b byte) int32 { return firstByte + int32(b) }

// byteRune is the alphabet of byte-level BPE: printable Latin-1 bytes stand
// for themselves, the others for the code points from 256 on.
func byteRune(b int) rune {
	printable := func(c int) bool { return c >= '!' && c <= '~' || c >= 0xA1 && c <= 0xAC || c >= 0xAE && c <= 0xFF }
	if printable(b) {
		return rune(b)
	}
	shifted := 256
	for c := range b {
		if !printable(c) {
			shifted++
		}
	}
	return rune(shifted)
}

func (v vocab) describe(f *file, o Options) {
	f.set("tokenizer.ggml.model", "gpt2")
	f.set("tokenizer.ggml.pre", "gpt-2")
	f.set("tokenizer.ggml.tokens", v.tokens)
	f.set("tokenizer.ggml.token_type", v.types)
	f.set("tokenizer.ggml.merges", v.merges)
	f.set("tokenizer.ggml.bos_token_id", uint32(EndOfText))
	f.set("tokenizer.ggml.eos_token_id", uint32(EndOfText))
	f.set("tokenizer.ggml.add_bos_token", false)
	if o.ChatTemplate != "" {
		f.set("tokenizer.chat_template", o.ChatTemplate)
	}
}
