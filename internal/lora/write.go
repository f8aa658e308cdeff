package lora

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/qlora/qlora/internal/gguf"
)

// Keys and values that llama.cpp's adapter loader asks for.
const (
	keyType    = "general.type"
	keyArch    = "general.architecture"
	keyName    = "general.name"
	keyAdapter = "adapter.type"
	keyAlpha   = "adapter.lora.alpha"
	keyTokens  = "adapter.alora.invocation_tokens"

	suffixA = ".lora_a"
	suffixB = ".lora_b"

	embeddingTensor = "token_embd.weight"
)

// WriteAdapter writes the F32 adapter file that llama.cpp loads with
// --lora, after checking it against its base. The file appears at path only
// when it is complete.
func WriteAdapter(path string, a *Adapter, base *gguf.File) error {
	if err := a.Check(base); err != nil {
		return fmt.Errorf("write adapter %s: %w", path, err)
	}
	tensors, data, err := a.tensors()
	if err != nil {
		return fmt.Errorf("write adapter %s: %w", path, err)
	}
	w, err := gguf.Create(path, a.metadata(base), tensors)
	if err != nil {
		return fmt.Errorf("write adapter: %w", err)
	}
	defer w.Abort()
	for i, t := range tensors {
		if err := w.WriteTensor(t.Name, encodeF32(data[i])); err != nil {
			return fmt.Errorf("write adapter: %w", err)
		}
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("write adapter: %w", err)
	}
	return nil
}

func (a *Adapter) metadata(base *gguf.File) []gguf.KV {
	kvs := []gguf.KV{
		{Key: keyType, Value: "adapter"},
		{Key: keyArch, Value: a.Arch},
		{Key: keyAdapter, Value: "lora"},
		{Key: keyAlpha, Value: float32(a.Alpha)},
		{Key: "general.file_type", Value: uint32(0)}, // all F32
	}
	if a.Name != "" {
		kvs = append(kvs, gguf.KV{Key: keyName, Value: a.Name})
	}
	if name, ok := base.String(keyName); ok {
		kvs = append(kvs, gguf.KV{Key: "general.base_model.count", Value: uint32(1)},
			gguf.KV{Key: "general.base_model.0.name", Value: name})
	}
	return kvs
}

// tensors lists what the file holds, A before B, with the values beside it.
func (a *Adapter) tensors() ([]gguf.TensorInfo, [][]float32, error) {
	var infos []gguf.TensorInfo
	var data [][]float32
	for _, p := range a.Pairs {
		if p.Base == embeddingTensor {
			return nil, nil, fmt.Errorf("%s is not a linear and cannot be adapted", p.Base)
		}
		if p.Rank < 1 || int64(len(p.A)) != p.NIn*int64(p.Rank) || int64(len(p.B)) != p.NOut*int64(p.Rank) {
			return nil, nil, fmt.Errorf("tensor %s: %d and %d values are not rank %d of %d x %d", p.Base, len(p.A), len(p.B), p.Rank, p.NIn, p.NOut)
		}
		infos = append(infos,
			gguf.TensorInfo{Name: p.Base + suffixA, Dims: []int64{p.NIn, int64(p.Rank)}, Type: gguf.F32},
			gguf.TensorInfo{Name: p.Base + suffixB, Dims: []int64{int64(p.Rank), p.NOut}, Type: gguf.F32})
		data = append(data, p.A, p.B)
	}
	return infos, data, nil
}

func encodeF32(v []float32) []byte {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	return b
}
