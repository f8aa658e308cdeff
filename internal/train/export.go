package train

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// ExportAdapter writes the adapter that state holds as the GGUF file that
// llama.cpp loads. Its parameters are named BASE.lora_a and BASE.lora_b; c gives
// the scale, base the architecture.
func ExportAdapter(path, name string, state *checkpoint.State, c lora.Config, base *gguf.File) error {
	arch, _ := base.String("general.architecture")
	a := &lora.Adapter{Arch: arch, Alpha: c.FileAlpha(), Name: name}
	for _, p := range state.Params {
		tensor, ok := strings.CutSuffix(p.Name, ".lora_a")
		if !ok {
			continue
		}
		other, ok := find(state.Params, tensor+".lora_b")
		if !ok || len(p.Dims) != 2 || len(other.Dims) != 2 || p.Dims[1] != other.Dims[0] {
			return fmt.Errorf("write adapter %s: %s has no matching lora_b", path, p.Name)
		}
		a.Pairs = append(a.Pairs, lora.Pair{Base: tensor, Rank: int(p.Dims[1]), NIn: p.Dims[0], NOut: other.Dims[1],
			A: values(state, p), B: values(state, other)})
	}
	if 2*len(a.Pairs) != len(state.Params) {
		return fmt.Errorf("write adapter %s: %d trained tensors are not %d pairs", path, len(state.Params), len(a.Pairs))
	}
	return lora.WriteAdapter(path, a, base)
}

func find(params []checkpoint.Param, name string) (checkpoint.Param, bool) {
	i := slices.IndexFunc(params, func(p checkpoint.Param) bool { return p.Name == name })
	if i < 0 {
		return checkpoint.Param{}, false
	}
	return params[i], true
}

// values is the trained values of p.
func values(state *checkpoint.State, p checkpoint.Param) []float32 {
	return state.Weights[p.Offset : p.Offset+p.Len]
}

// ExportModel writes base with its trained weights replaced, as a single F32
// file. All metadata is kept, and tensors that state does not hold are copied.
func ExportModel(path string, state *checkpoint.State, base *gguf.File) error {
	trained := map[string]checkpoint.Param{}
	for _, p := range state.Params {
		trained[p.Name] = p
	}
	var infos []gguf.TensorInfo
	for _, t := range base.Tensors() {
		info := gguf.TensorInfo{Name: t.Name, Dims: t.Dims, Type: t.Type}
		if p, ok := trained[t.Name]; ok {
			if !slices.Equal(p.Dims, t.Dims) {
				return fmt.Errorf("write model %s: %s is %v, in the base %v", path, t.Name, p.Dims, t.Dims)
			}
			info.Type = gguf.F32
		}
		infos = append(infos, info)
	}
	w, err := gguf.Create(path, keptMetadata(base), infos)
	if err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	defer w.Abort()
	for _, t := range base.Tensors() {
		data := base.Data(t)
		if p, ok := trained[t.Name]; ok {
			data = encodeF32(values(state, p))
		}
		if err := w.WriteTensor(t.Name, data); err != nil {
			return fmt.Errorf("write model: %w", err)
		}
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	return nil
}

// keptMetadata is the metadata of base but for how it was split into files.
func keptMetadata(base *gguf.File) []gguf.KV {
	return slices.DeleteFunc(slices.Clone(base.KVs()), func(kv gguf.KV) bool { return strings.HasPrefix(kv.Key, "split.") })
}

func encodeF32(v []float32) []byte {
	out := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(x))
	}
	return out
}
