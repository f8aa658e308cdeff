package newmodel

import (
	"fmt"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// Preset is the architecture and the size of a published model.
type Preset struct {
	Name  string
	Arch  string // general.architecture
	Shape Shape
	Vocab int  // tokens
	Bias  bool // attn_q, attn_k and attn_v have biases
}

// presets follow the configurations that the models were published with.
var presets = []Preset{
	qwen25("0.5b", 896, 24, 14, 2, 4864, 151936, true),
	qwen25("1.5b", 1536, 28, 12, 2, 8960, 151936, true),
	qwen25("3b", 2048, 36, 16, 2, 11008, 151936, true),
	qwen25("7b", 3584, 28, 28, 4, 18944, 152064, false),
	qwen25("14b", 5120, 48, 40, 8, 13824, 152064, false),
	qwen25("32b", 5120, 64, 40, 8, 27648, 152064, false),
	{Name: "llama3-8b", Arch: "llama", Vocab: 128256, Shape: Shape{
		Embd: 4096, Layers: 32, Heads: 32, KVHeads: 8, FFN: 14336, Context: 8192, Rope: 500000, Eps: 1e-5}},
}

// tiny has every part of a Qwen2.5, small enough for a test. It is not listed.
var tiny = qwen25("tiny", 256, 2, 4, 2, 512, 4352, false)

const qwenPrefix = "qwen2.5-"

func qwen25(size string, embd, layers, heads, kvHeads, ffn, vocab int, tied bool) Preset {
	return Preset{Name: qwenPrefix + size, Arch: "qwen2", Vocab: vocab, Bias: true, Shape: Shape{
		Embd: embd, Layers: layers, Heads: heads, KVHeads: kvHeads, FFN: ffn, Context: 32768, Rope: 1e6, Eps: 1e-6, Tied: tied}}
}

// PresetNames lists what FindPreset knows.
func PresetNames() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.Name
	}
	return names
}

// FindPreset finds a preset by name, in any case; a Qwen2.5 also by its size, such
// as "7b".
func FindPreset(name string) (Preset, error) {
	lower := strings.ToLower(name)
	for _, p := range append(slices.Clone(presets), tiny) {
		if lower == p.Name || qwenPrefix+lower == p.Name {
			return p, nil
		}
	}
	return Preset{}, fmt.Errorf("unknown model %q; choose one of %s", name, strings.Join(PresetNames(), ", "))
}

// check refuses what cannot be laid out.
func (p Preset) check() error {
	if p.Vocab < 1 || p.Vocab > limit {
		return fmt.Errorf("a vocabulary of %d tokens is out of range 1 to %d", p.Vocab, limit)
	}
	return p.Shape.Check()
}

// weights lists the tensors in file order, all F32, every matrix with standard
// deviation std.
func (p Preset) weights(std float64) []weight {
	var list []weight
	for _, w := range weights(p.Shape, p.Vocab, Init{Std: std, Attention: std, Embd: std}) {
		if w.std > 0 {
			w.std = std
		}
		list = append(list, w)
		if name, ok := strings.CutSuffix(w.info.Name, ".weight"); ok && p.Bias && biased(name) {
			list = append(list, bias(name+".bias", w.info.Dims[1]))
		}
	}
	return list
}

// biased says whether the linear called name has a bias in the Qwen2 architecture.
func biased(name string) bool {
	return strings.HasSuffix(name, ".attn_q") || strings.HasSuffix(name, ".attn_k") || strings.HasSuffix(name, ".attn_v")
}

// RandomWeights ends the name of every synthetic model.
const RandomWeights = " with random weights"

// metadata is everything but the vocabulary and the tensors.
func (p Preset) metadata(fileType uint32) []gguf.KV {
	kvs := []gguf.KV{
		{Key: "general.architecture", Value: p.Arch},
		{Key: "general.type", Value: "model"},
		{Key: "general.name", Value: p.Name + RandomWeights},
		{Key: "general.file_type", Value: fileType},
		{Key: "general.quantization_version", Value: uint32(2)}, // ggml's GGML_QNT_VERSION
	}
	return append(kvs, p.Shape.metadata(p.Arch, p.Vocab)...)
}
