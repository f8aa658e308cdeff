package newmodel

import (
	"fmt"

	"github.com/qlora/qlora/internal/bpe"
	"github.com/qlora/qlora/internal/gguf"
)

// Config says what to write.
type Config struct {
	Shape   Shape
	Init    Init
	Vocab   *bpe.Vocab
	Name    string // general.name
	License string // general.license, an SPDX expression
}

// fileTypeF32 is llama.cpp's LLAMA_FTYPE_ALL_F32.
const fileTypeF32 = 0

// Write stores the model at path, whole or not at all, and returns the number of
// its parameters.
func Write(path string, c Config) (parameters int64, err error) {
	if err := c.check(); err != nil {
		return 0, err
	}
	list := weights(c.Shape, c.Vocab.Size(), c.Init)
	for _, w := range list {
		parameters += w.info.Elements()
	}
	kvs, err := c.metadata()
	if err != nil {
		return 0, err
	}
	w, err := gguf.Create(path, kvs, infos(list))
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	for _, t := range list {
		if err := w.WriteTensor(t.info.Name, t.values(c.Init.Seed)); err != nil {
			return 0, err
		}
	}
	return parameters, w.Commit()
}

func (c Config) check() error {
	if err := c.Shape.Check(); err != nil {
		return err
	}
	if err := c.Init.Check(); err != nil {
		return err
	}
	if c.Vocab == nil || c.Vocab.Size() == 0 {
		return fmt.Errorf("a new model needs a vocabulary")
	}
	return nil
}

// metadata is everything but the tensors.
func (c Config) metadata() ([]gguf.KV, error) {
	s := c.Shape
	kvs := []gguf.KV{
		{Key: "general.architecture", Value: "llama"},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: c.Name},
		{Key: "general.license", Value: c.License},
		{Key: "general.file_type", Value: uint32(fileTypeF32)},
	}
	kvs = append(kvs, s.metadata("llama", c.Vocab.Size())...)
	kvs = append(kvs, []gguf.KV{
		{Key: "tokenizer.ggml.model", Value: "gpt2"},
		{Key: "tokenizer.ggml.pre", Value: bpe.PreTokenizer},
		{Key: "tokenizer.ggml.tokens", Value: c.Vocab.Tokens},
		{Key: "tokenizer.ggml.token_type", Value: tokenTypes(c.Vocab)},
		{Key: "tokenizer.ggml.merges", Value: c.Vocab.Merges},
		{Key: "tokenizer.ggml.add_bos_token", Value: false},
		{Key: "tokenizer.ggml.add_eos_token", Value: false},
		{Key: "tokenizer.chat_template", Value: ChatTemplate},
	}...)
	for _, k := range idKeys {
		id, ok := c.Vocab.Special(k.piece)
		if !ok {
			return nil, fmt.Errorf("the vocabulary has no token %s for %s", k.piece, k.key)
		}
		kvs = append(kvs, gguf.KV{Key: k.key, Value: uint32(id)})
	}
	return kvs, nil
}

// metadata is the hyper-parameters below the name of an architecture.
func (s Shape) metadata(arch string, vocab int) []gguf.KV {
	return []gguf.KV{
		{Key: arch + ".vocab_size", Value: uint32(vocab)},
		{Key: arch + ".context_length", Value: uint32(s.Context)},
		{Key: arch + ".embedding_length", Value: uint32(s.Embd)},
		{Key: arch + ".block_count", Value: uint32(s.Layers)},
		{Key: arch + ".feed_forward_length", Value: uint32(s.FFN)},
		{Key: arch + ".rope.dimension_count", Value: uint32(s.HeadDim())},
		{Key: arch + ".rope.freq_base", Value: float32(s.Rope)},
		{Key: arch + ".attention.head_count", Value: uint32(s.Heads)},
		{Key: arch + ".attention.head_count_kv", Value: uint32(s.KVHeads)},
		{Key: arch + ".attention.layer_norm_rms_epsilon", Value: float32(s.Eps)},
	}
}
