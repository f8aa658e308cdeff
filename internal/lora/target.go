package lora

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// The linears that can be adapted: seven of each block, and the head.
var (
	attnLinears  = []string{"attn_q", "attn_k", "attn_v", "attn_output"}
	mlpLinears   = []string{"ffn_gate", "ffn_up", "ffn_down"}
	blockLinears = append(slices.Clone(attnLinears), mlpLinears...)
)

const (
	headLinear = "output"
	headTensor = "output.weight"
)

// groups are the names that stand for several linears. "all" leaves the head
// out, as PEFT's all-linear does.
var groups = map[string][]string{"all": blockLinears, "attn": attnLinears, "mlp": mlpLinears}

var blockTensor = regexp.MustCompile(`^blk\.(\d{1,9})\.(\w+)\.weight$`)

// candidate is a tensor that could be adapted.
type candidate struct {
	info   gguf.TensorInfo
	linear string // attn_q, ..., output
	block  int    // the head comes after all blocks
}

// Targets lists the tensors of the base f that c.Target chooses, block by
// block, the head last; inside a block in the order attn_q, attn_k, attn_v,
// attn_output, ffn_gate, ffn_up, ffn_down.
//
// Target is a comma-separated list of all, attn, mlp and the names of linears,
// or else a regular expression that is searched in tensor names such as
// blk.3.attn_q.weight. Whatever matches nothing is an error.
func Targets(c Config, f *gguf.File) ([]gguf.TensorInfo, error) {
	all, err := candidates(f)
	if err != nil {
		return nil, err
	}
	var chosen []gguf.TensorInfo
	if names, ok := parseList(c.Target); ok {
		chosen, err = byName(names, all, f)
	} else {
		chosen, err = byPattern(c.Target, all, f)
	}
	if err != nil {
		return nil, fmt.Errorf("lora target %q: %w", c.Target, err)
	}
	return chosen, nil
}

// candidates finds everything in f that can be adapted, in adapter order.
func candidates(f *gguf.File) ([]candidate, error) {
	var out []candidate
	for _, t := range f.Tensors() {
		c := candidate{info: t}
		if m := blockTensor.FindStringSubmatch(t.Name); m != nil && slices.Contains(blockLinears, m[2]) {
			c.linear = m[2]
			c.block, _ = strconv.Atoi(m[1])
		} else if t.Name == headTensor {
			c.linear, c.block = headLinear, 1<<31
		} else {
			continue
		}
		if len(t.Dims) != 2 {
			return nil, fmt.Errorf("%s: tensor %s has %d dimensions; only matrices can be adapted", f.Paths()[0], t.Name, len(t.Dims))
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b candidate) int {
		if a.block != b.block {
			return a.block - b.block
		}
		return slices.Index(blockLinears, a.linear) - slices.Index(blockLinears, b.linear)
	})
	return out, nil
}

// parseList splits a target that is made of known names only.
func parseList(target string) ([]string, bool) {
	if strings.ContainsAny(target, `.*+?^$()[]{}|\`) {
		return nil, false
	}
	var names []string
	for name := range strings.SplitSeq(target, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	return names, true
}

func byName(names []string, all []candidate, f *gguf.File) ([]gguf.TensorInfo, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		linears, isGroup := groups[name]
		if !isGroup {
			linears = []string{name}
		}
		found := false
		for _, linear := range linears {
			wanted[linear] = true
			found = found || slices.ContainsFunc(all, func(c candidate) bool { return c.linear == linear })
		}
		if !found {
			return nil, noMatch(name, all, f)
		}
	}
	return choose(all, func(c candidate) bool { return wanted[c.linear] }), nil
}

func byPattern(pattern string, all []candidate, f *gguf.File) ([]gguf.TensorInfo, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	chosen := choose(all, func(c candidate) bool { return re.MatchString(c.info.Name) })
	if len(chosen) > 0 {
		return chosen, nil
	}
	if re.MatchString(headTensor) {
		return nil, noMatch(headLinear, all, f)
	}
	return nil, noMatch(pattern, all, f)
}

func choose(all []candidate, want func(candidate) bool) []gguf.TensorInfo {
	var out []gguf.TensorInfo
	for _, c := range all {
		if want(c) {
			out = append(out, c.info)
		}
	}
	return out
}

// noMatch says why a name chose nothing.
func noMatch(name string, all []candidate, f *gguf.File) error {
	if name == headLinear {
		return fmt.Errorf("%s has no %s: its head is tied to token_embd.weight, and llama.cpp cannot apply an adapter to a tied head",
			f.Paths()[0], headTensor)
	}
	var have []string
	for _, linear := range append(slices.Clone(blockLinears), headLinear) {
		if slices.ContainsFunc(all, func(c candidate) bool { return c.linear == linear }) {
			have = append(have, linear)
		}
	}
	if len(have) == 0 {
		return fmt.Errorf("%s has no linear that can be adapted", f.Paths()[0])
	}
	return fmt.Errorf("%q matches nothing in %s; choose all, attn, mlp, any of %s, or a regular expression on names such as blk.0.attn_q.weight",
		name, f.Paths()[0], strings.Join(have, ", "))
}
