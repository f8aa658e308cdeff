package newmodel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// unusedToken is llama.cpp's LLAMA_TOKEN_TYPE_UNUSED.
const unusedToken = 5

// Vocabulary copies the metadata of the tokeniser of f and pads the vocabulary to
// size with tokens that no text ever makes.
func Vocabulary(f *gguf.File, size int) ([]gguf.KV, error) {
	tokens, ok := f.Strings("tokenizer.ggml.tokens")
	if !ok || len(tokens) == 0 {
		return nil, fmt.Errorf("%s holds no vocabulary", f.Paths()[0])
	}
	if len(tokens) > size {
		return nil, fmt.Errorf("the vocabulary of %s has %d tokens, more than the %d of the model's shape", f.Paths()[0], len(tokens), size)
	}
	var kvs []gguf.KV
	for _, kv := range f.KVs() {
		if !strings.HasPrefix(kv.Key, "tokenizer.") {
			continue
		}
		switch v := kv.Value.(type) {
		case []string:
			if kv.Key == "tokenizer.ggml.tokens" {
				kv.Value = padTokens(v, size)
			}
		case []int32:
			if kv.Key == "tokenizer.ggml.token_type" {
				kv.Value = pad(v, size, unusedToken)
			}
		case []float32:
			if kv.Key == "tokenizer.ggml.scores" {
				kv.Value = pad(v, size, 0)
			}
		}
		kvs = append(kvs, kv)
	}
	return kvs, nil
}

// padTokens names the added tokens by id, as the published converters do.
func padTokens(tokens []string, size int) []string {
	out := slices.Clone(tokens)
	for len(out) < size {
		out = append(out, fmt.Sprintf("[PAD%d]", len(out)))
	}
	return out
}

func pad[T any](values []T, size int, with T) []T {
	out := slices.Clone(values)
	for len(out) < size {
		out = append(out, with)
	}
	return out
}
