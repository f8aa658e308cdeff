package peft

import (
	"encoding/json"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover"
	"github.com/qlora/qlora/internal/handover/safetensors"
	"github.com/qlora/qlora/internal/lora"
)

// Options are what the adapter's file does not say.
type Options struct {
	Base    string  // base_model_name_or_path: a name at the hub or a path
	Type    string  // element type of the tensors: safetensors.F32, F16 or BF16
	Dropout float64 // that it was trained with
}

// Export writes the adapter into folder as PEFT keeps it. The file must fit
// base, which tells the order of q's and k's rows.
func Export(folder *handover.Folder, a *lora.AdapterFile, base *gguf.File, o Options) (*Config, error) {
	if err := checkArchitecture(a.Arch); err != nil {
		return nil, err
	}
	if err := a.Check(base); err != nil {
		return nil, err
	}
	tensors, ranks, err := exportTensors(a, base)
	if err != nil {
		return nil, err
	}
	if err := safetensors.Write(folder.Path(TensorFile), o.Type, tensors, map[string]string{"format": "pt"}); err != nil {
		return nil, err
	}
	c := configOf(a, ranks, base, o)
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", ConfigFile, err)
	}
	return c, folder.Write(ConfigFile, append(text, '\n'))
}

// exportTensors also lists the modules' ranks.
func exportTensors(a *lora.AdapterFile, base *gguf.File) ([]safetensors.Tensor, map[string]int, error) {
	r, err := readRotary(base)
	if err != nil {
		return nil, nil, err
	}
	var tensors []safetensors.Tensor
	ranks := map[string]int{}
	for _, shape := range a.Pairs {
		module, err := moduleOf(shape.Base)
		if err != nil {
			return nil, nil, err
		}
		p, err := a.Load(shape)
		if err != nil {
			return nil, nil, err
		}
		if heads := r.headsOf(p.Base); heads > 0 {
			if p.B, err = toHalves(p.B, p.Rank, heads); err != nil {
				return nil, nil, fmt.Errorf("tensor %s: %w", p.Base, err)
			}
		}
		ranks[module] = p.Rank
		rank := int64(p.Rank)
		tensors = append(tensors,
			safetensors.Tensor{Name: prefix + module + ".lora_A.weight", Shape: []int64{rank, p.NIn}, Values: p.A},
			safetensors.Tensor{Name: prefix + module + ".lora_B.weight", Shape: []int64{p.NOut, rank}, Values: p.B})
	}
	return tensors, ranks, nil
}

// configOf writes the rank that most modules have as r and the others into
// rank_pattern. A file without alpha means a scale of 1.
func configOf(a *lora.AdapterFile, ranks map[string]int, base *gguf.File, o Options) *Config {
	c := &Config{PeftType: "LORA", TaskType: "CAUSAL_LM", Base: o.Base, Rank: usual(ranks), Alpha: a.Alpha, Dropout: o.Dropout,
		Targets: targets(ranks, base), RankPattern: map[string]int{}, AlphaPattern: map[string]float64{},
		Bias: "none", Inference: true, Init: true}
	if a.Alpha == 0 {
		c.Alpha = float64(c.Rank)
	}
	if rounded := math.Round(c.Alpha); math.Abs(c.Alpha-rounded) < 1e-5 {
		c.Alpha = rounded
	}
	for module, rank := range ranks {
		if rank == c.Rank {
			continue
		}
		key := strings.ReplaceAll(module, ".", `\.`)
		c.RankPattern[key] = rank
		if a.Alpha == 0 {
			c.AlphaPattern[key] = float64(rank)
		}
	}
	return c
}

// usual is the rank that occurs most, the larger of two.
func usual(ranks map[string]int) int {
	count := map[int]int{}
	best := 0
	for _, rank := range ranks {
		count[rank]++
	}
	for rank, n := range count {
		if n > count[best] || n == count[best] && rank > best {
			best = rank
		}
	}
	return best
}

// targets are the short names of the modules, q_proj and such, when those are
// adapted in every block, and their full names otherwise.
func targets(ranks map[string]int, base *gguf.File) []string {
	arch, _ := base.String("general.architecture")
	blocks, _ := base.Uint(arch + ".block_count")
	short := map[string]uint64{}
	var full, names []string
	for module := range ranks {
		full = append(full, module)
		short[strings.TrimPrefix(path.Ext(module), ".")]++
	}
	whole := true
	for name, n := range short {
		if name == "" { // lm_head has no dot
			name, n = headModule, blocks
		}
		names = append(names, name)
		whole = whole && n == blocks
	}
	if !whole {
		names = full
	}
	slices.Sort(names)
	return names
}
