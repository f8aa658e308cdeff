package newmodel

import "github.com/qlora/qlora/internal/bpe"

// The special tokens, by the names that Qwen2.5-Coder gave them, which editors
// and libllama know.
const (
	EndOfText = "<|endoftext|>"
	TurnStart = "<|im_start|>"
	TurnEnd   = "<|im_end|>"
	FIMPrefix = "<|fim_prefix|>"
	FIMMiddle = "<|fim_middle|>"
	FIMSuffix = "<|fim_suffix|>"
	FIMPad    = "<|fim_pad|>"
	RepoName  = "<|repo_name|>"
	FileSep   = "<|file_sep|>"
)

// Specials are the special tokens in id order, after the learned ones.
func Specials() []string {
	return []string{EndOfText, TurnStart, TurnEnd, FIMPrefix, FIMMiddle, FIMSuffix, FIMPad, RepoName, FileSep}
}

// MinVocab is the size of a vocabulary without a single merge.
func MinVocab() int { return 256 + len(Specials()) }

// ChatTemplate is ChatML, in the Jinja subset that every reader of
// tokenizer.chat_template knows.
const ChatTemplate = `{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`

// idKeys says which metadata key holds which special token's id. Text never
// begins with a token of its own (add_bos_token is false), but readers that ask
// for one get the end-of-text token, as GPT-2 and Qwen have it.
var idKeys = []struct{ key, piece string }{
	{"tokenizer.ggml.bos_token_id", EndOfText},
	{"tokenizer.ggml.eos_token_id", EndOfText},
	{"tokenizer.ggml.eot_token_id", TurnEnd},
	{"tokenizer.ggml.padding_token_id", FIMPad},
	{"tokenizer.ggml.fim_pre_token_id", FIMPrefix},
	{"tokenizer.ggml.fim_suf_token_id", FIMSuffix},
	{"tokenizer.ggml.fim_mid_token_id", FIMMiddle},
	{"tokenizer.ggml.fim_pad_token_id", FIMPad},
	{"tokenizer.ggml.fim_rep_token_id", RepoName},
	{"tokenizer.ggml.fim_sep_token_id", FileSep},
}

// tokenTypes converts to the int32 array of tokenizer.ggml.token_type.
func tokenTypes(v *bpe.Vocab) []int32 {
	types := make([]int32, len(v.Types))
	for i, t := range v.Types {
		types[i] = int32(t)
	}
	return types
}
