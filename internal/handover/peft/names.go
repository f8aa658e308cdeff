package peft

import (
	"regexp"
	"slices"
	"strings"
)

// modules are transformers' names of the linears of a block.
var modules = map[string]string{
	"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
	"ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}

// architectures are those whose modules have these names, and whether their
// GGUF files hold the rows of q and k in ggml's order.
var architectures = map[string]bool{"llama": true, "qwen2": false, "qwen3": false, "gemma": false, "gemma2": false}

const (
	headTensor = "output.weight"
	headModule = "lm_head"
	// prefix is how PEFT's wrapping shows in names.
	prefix = "base_model.model."
)

func checkArchitecture(arch string) error {
	if _, ok := architectures[arch]; ok {
		return nil
	}
	var known []string
	for name := range architectures {
		known = append(known, name)
	}
	slices.Sort(known)
	return unsupported("the names that PEFT has for architecture %q are not known here; these are: %s", arch, strings.Join(known, ", "))
}

var (
	blockTensor = regexp.MustCompile(`^blk\.(0|[1-9]\d{0,8})\.(\w+)\.weight$`)
	blockModule = regexp.MustCompile(`^model\.layers\.(0|[1-9]\d{0,8})\.(self_attn\.\w+|mlp\.\w+)$`)
)

// moduleOf turns blk.3.attn_q.weight into model.layers.3.self_attn.q_proj.
func moduleOf(tensor string) (string, error) {
	if tensor == headTensor {
		return headModule, nil
	}
	if m := blockTensor.FindStringSubmatch(tensor); m != nil && modules[m[2]] != "" {
		return "model.layers." + m[1] + "." + modules[m[2]], nil
	}
	return "", unsupported("tensor %s has no module in transformers that PEFT adapts", tensor)
}

// tensorOf is moduleOf the other way round.
func tensorOf(module string) (string, error) {
	if module == headModule {
		return headTensor, nil
	}
	if m := blockModule.FindStringSubmatch(module); m != nil {
		for linear, name := range modules {
			if name == m[2] {
				return "blk." + m[1] + "." + linear + ".weight", nil
			}
		}
	}
	return "", unsupported("module %s has no counterpart in a GGUF file", module)
}
