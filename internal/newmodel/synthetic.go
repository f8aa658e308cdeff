package newmodel

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// Synthetic is a model of a published shape with random weights: it computes and
// takes memory as the published one does, and knows nothing. Its quantised blocks
// are random bytes with scales that fit, so that no values are ever quantised.
type Synthetic struct {
	Preset     Preset
	Storage    Storage
	Vocabulary []gguf.KV // tokenizer.* metadata for Preset.Vocab tokens
	Std        float64   // standard deviation of every matrix
	Seed       uint64
	Workers    int                     // goroutines; 0: one a processor. The bytes are the same.
	Progress   func(done, total int64) // bytes of tensor data; may be nil
}

// DefaultStd is initializer_range of the published configurations.
const DefaultStd = 0.02

// Made is what WriteSynthetic wrote.
type Made struct {
	Parameters int64
	Bytes      int64          // of tensor data
	Types      map[string]int // tensors of each type
	Fallbacks  []string       // tensors whose rows are no whole blocks of the wanted type
}

// WriteSynthetic stores the model at path, whole or not at all.
func WriteSynthetic(ctx context.Context, path string, c Synthetic) (Made, error) {
	kvs, list, made, err := c.layOut()
	if err != nil {
		return made, err
	}
	w, err := gguf.Create(path, kvs, infos(list))
	if err != nil {
		return made, err
	}
	s := stream{list: list, seed: c.Seed, workers: c.Workers, progress: c.Progress}
	if s.workers < 1 {
		s.workers = runtime.NumCPU()
	}
	if err := s.writeTo(ctx, w); err != nil {
		return made, errors.Join(err, w.Abort())
	}
	return made, w.Commit()
}

// Header is what WriteSynthetic would write, without data, for code that decides by a model's header.
func (c Synthetic) Header() (*gguf.File, error) {
	kvs, list, _, err := c.layOut()
	if err != nil {
		return nil, err
	}
	return gguf.Describe(kvs, infos(list)), nil
}

// layOut lists the metadata and the tensors.
func (c Synthetic) layOut() ([]gguf.KV, []weight, Made, error) {
	if err := c.Check(); err != nil {
		return nil, nil, Made{}, err
	}
	kvs := append(c.Preset.metadata(c.Storage.mixture.FileType), c.Vocabulary...)
	list := c.Preset.weights(c.Std)
	made, err := c.Storage.apply(list, kvs)
	return kvs, list, made, err
}

// Check refuses what cannot be written.
func (c Synthetic) Check() error {
	if err := c.Preset.check(); err != nil {
		return err
	}
	if !(c.Std > 0) || c.Std > 10 {
		return fmt.Errorf("init-std=%g is out of range 0 to 10", c.Std)
	}
	return nil
}

// apply gives the weights their types and counts what they come to.
func (s Storage) apply(list []weight, kvs []gguf.KV) (Made, error) {
	made := Made{Types: make(map[string]int)}
	choices, err := s.choose(gguf.Describe(kvs, infos(list)))
	if err != nil {
		return made, err
	}
	for i := range list {
		t := &list[i].info
		choice := choices[t.Name]
		t.Type = choice.Type
		if choice.Fallback() {
			made.Fallbacks = append(made.Fallbacks, fallback(t.Name, choice))
		}
		size, err := t.Type.RowBytes(t.Elements())
		if err != nil {
			return made, fmt.Errorf("tensor %s: %w", t.Name, err)
		}
		made.Parameters += t.Elements()
		made.Bytes += size
		made.Types[t.Type.String()]++
	}
	return made, nil
}

func fallback(name string, c lora.Choice) string {
	return fmt.Sprintf("%s: %s for %s", name, c.Type, c.Wanted)
}

func infos(list []weight) []gguf.TensorInfo {
	out := make([]gguf.TensorInfo, len(list))
	for i, w := range list {
		out[i] = w.info
	}
	return out
}
