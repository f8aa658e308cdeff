package peft

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover/safetensors"
	"github.com/qlora/qlora/internal/lora"
)

// ErrPickle says that an adapter is only there in Python's own format.
var ErrPickle = errors.New("the adapter is in adapter_model.bin, a pickle, which can run code and is not read here")

// Import reads the PEFT adapter in dir as one for base, of which it wants the
// same names and shapes. Scales that differ among tensors, as with rank
// stabilisation or alpha_pattern, are worked into one alpha and the values of
// B. What cannot be said in a GGUF adapter is an *UnsupportedError, another
// base a *lora.MismatchError.
func Import(dir string, base *gguf.File) (*lora.Adapter, *Config, error) {
	c, err := ReadConfig(filepath.Join(dir, ConfigFile))
	if err != nil {
		return nil, nil, err
	}
	arch, _ := base.String("general.architecture")
	if err := checkArchitecture(arch); err != nil {
		return nil, nil, err
	}
	f, err := openTensors(dir)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	in := importer{config: c, file: f, infos: map[string]safetensors.Info{}}
	if in.rotary, err = readRotary(base); err != nil {
		return nil, nil, err
	}
	a, err := in.adapter(arch)
	if err != nil {
		return nil, nil, fmt.Errorf("import %s: %w", filepath.Join(dir, TensorFile), err)
	}
	a.Path = dir
	return a, c, a.Check(base)
}

func openTensors(dir string) (*safetensors.File, error) {
	f, err := safetensors.Open(filepath.Join(dir, TensorFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if _, e := os.Stat(filepath.Join(dir, "adapter_model.bin")); e == nil {
		return nil, ErrPickle
	}
	return nil, err
}

// importer gathers the tensors of a file by module.
type importer struct {
	config  *Config
	file    *safetensors.File
	rotary  rotary
	infos   map[string]safetensors.Info // by module and half: "lm_head A"
	modules []string
}

func (in *importer) adapter(arch string) (*lora.Adapter, error) {
	for _, t := range in.file.Tensors {
		if err := in.sort(t); err != nil {
			return nil, err
		}
	}
	a := &lora.Adapter{Arch: arch}
	var scales []float64
	for _, module := range in.modules {
		p, err := in.pair(module)
		if err != nil {
			return nil, fmt.Errorf("module %s: %w", module, err)
		}
		scale, err := in.config.scale(module, p.Rank)
		if err != nil {
			return nil, err
		}
		a.Pairs, scales = append(a.Pairs, p), append(scales, scale)
	}
	if len(a.Pairs) == 0 {
		return nil, errors.New("it holds no tensors of an adapter")
	}
	a.Alpha = oneAlpha(a.Pairs, scales)
	inFileOrder(a.Pairs)
	return a, nil
}

// sort finds out what a tensor is of.
func (in *importer) sort(t safetensors.Info) error {
	name := strings.TrimPrefix(t.Name, prefix)
	if strings.Contains(name, "lora_magnitude_vector") {
		return unsupported("tensor %s is of a DoRA adapter, which llama.cpp does not apply", t.Name)
	}
	if strings.Contains(name, "lora_embedding_") {
		return unsupported("tensor %s adapts an embedding, which is not supported", t.Name)
	}
	module, half, ok := strings.Cut(name, ".lora_")
	half = strings.TrimSuffix(strings.Replace(half, ".default", "", 1), ".weight")
	if !ok || half != "A" && half != "B" {
		return unsupported("tensor %s is no part of a low-rank adapter", t.Name)
	}
	key := module + " " + half
	if _, twice := in.infos[key]; twice {
		return fmt.Errorf("module %s has two tensors %s", module, half)
	}
	in.infos[key] = t
	if !slices.Contains(in.modules, module) {
		in.modules = append(in.modules, module)
	}
	return nil
}

// pair reads the two tensors of a module and turns B's rows where it must.
func (in *importer) pair(module string) (p lora.Pair, err error) {
	if p.Base, err = tensorOf(module); err != nil {
		return p, err
	}
	at, okA := in.infos[module+" A"]
	bt, okB := in.infos[module+" B"]
	if !okA || !okB {
		return p, errors.New("it has one of lora_A and lora_B without the other")
	}
	want, err := in.config.rank(module)
	if err != nil {
		return p, err
	}
	if len(at.Shape) != 2 || len(bt.Shape) != 2 || at.Shape[0] != bt.Shape[1] || at.Shape[0] != int64(want) {
		return p, fmt.Errorf("lora_A is %v and lora_B is %v, want rank %d by the settings", at.Shape, bt.Shape, want)
	}
	p.Rank, p.NIn, p.NOut = want, at.Shape[1], bt.Shape[0]
	if p.A, err = in.values(at); err != nil {
		return p, err
	}
	if p.B, err = in.values(bt); err != nil {
		return p, err
	}
	if heads := in.rotary.headsOf(p.Base); heads > 0 {
		p.B, err = toPairs(p.B, p.Rank, heads)
	}
	return p, err
}

func (in *importer) values(t safetensors.Info) ([]float32, error) {
	values, err := in.file.Values(t)
	for i, v := range values {
		if v-v != 0 { // NaN or infinity
			return nil, fmt.Errorf("tensor %s: value %d is %g", t.Name, i, v)
		}
	}
	return values, err
}

// oneAlpha finds the alpha of a file whose rule is alpha/rank, and puts what
// it cannot say of a pair into the pair's B.
func oneAlpha(pairs []lora.Pair, scales []float64) float64 {
	alpha := scales[0] * float64(pairs[0].Rank)
	for i, p := range pairs {
		factor := float32(scales[i] * float64(p.Rank) / alpha)
		if d := factor - 1; d > -1e-6 && d < 1e-6 {
			continue
		}
		for j := range p.B {
			p.B[j] *= factor
		}
	}
	return alpha
}

// inFileOrder sorts pairs as training writes them: block by block, the head
// last.
func inFileOrder(pairs []lora.Pair) {
	linears := []string{"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}
	place := func(p lora.Pair) (block, linear int) {
		m := blockTensor.FindStringSubmatch(p.Base)
		if m == nil {
			return 1 << 31, 0
		}
		fmt.Sscan(m[1], &block)
		return block, slices.Index(linears, m[2])
	}
	slices.SortFunc(pairs, func(a, b lora.Pair) int {
		blockA, linearA := place(a)
		blockB, linearB := place(b)
		if blockA != blockB {
			return blockA - blockB
		}
		return linearA - linearB
	})
}
