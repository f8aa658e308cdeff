package peft

import (
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// rotary says how the rows of q and k are ordered in a base model.
type rotary struct {
	swapped        bool // GGUF has them in ggml's order
	heads, kvHeads int
}

func readRotary(base *gguf.File) (rotary, error) {
	arch, _ := base.String("general.architecture")
	r := rotary{swapped: architectures[arch]}
	if !r.swapped {
		return r, nil
	}
	heads, ok := base.Uint(arch + ".attention.head_count")
	if !ok || heads == 0 || heads > 1<<16 {
		return r, fmt.Errorf("%s: %s.attention.head_count is missing or no single count", base.Paths()[0], arch)
	}
	const suffix = ".attention.head_count_kv"
	kv, ok := base.Uint(arch + suffix)
	if _, there := base.Get(arch + suffix); !there {
		kv, ok = heads, true // as llama.cpp takes it
	}
	if !ok || kv == 0 || kv > heads {
		return r, fmt.Errorf("%s: %s%s is no single count of at most %d heads, so how the rows of k are ordered is not known", base.Paths()[0], arch, suffix, heads)
	}
	r.heads, r.kvHeads = int(heads), int(kv)
	return r, nil
}

// headsOf is the number of heads whose rows a tensor holds in ggml's order, 0
// for a tensor that both sides order alike.
func (r rotary) headsOf(tensor string) int {
	switch {
	case !r.swapped:
		return 0
	case strings.HasSuffix(tensor, ".attn_q.weight"):
		return r.heads
	case strings.HasSuffix(tensor, ".attn_k.weight"):
		return r.kvHeads
	}
	return 0
}

// toHalves reorders rows of n values each from ggml's order, in which rows 2j
// and 2j+1 of a head are rotated together, to transformers', in which j and
// j plus half the head's rows are.
func toHalves(b []float32, n, heads int) ([]float32, error) {
	return reorder(b, n, heads, func(j, half, i int) (from, to int) { return 2*j + i, i*half + j })
}

// toPairs is the inverse of toHalves.
func toPairs(b []float32, n, heads int) ([]float32, error) {
	return reorder(b, n, heads, func(j, half, i int) (from, to int) { return i*half + j, 2*j + i })
}

func reorder(b []float32, n, heads int, rows func(j, half, i int) (from, to int)) ([]float32, error) {
	count := len(b) / n
	if count%(2*heads) != 0 {
		return nil, fmt.Errorf("%d rows are not %d heads of an even size", count, heads)
	}
	perHead := count / heads
	out := make([]float32, len(b))
	for head := range heads {
		for j := range perHead / 2 {
			for i := range 2 {
				from, to := rows(j, perHead/2, i)
				from, to = (head*perHead+from)*n, (head*perHead+to)*n
				copy(out[to:to+n], b[from:from+n])
			}
		}
	}
	return out, nil
}

// Reordered counts the tensors of an adapter whose rows are ordered otherwise
// in PEFT.
func Reordered(a *lora.Adapter) int {
	r := rotary{swapped: architectures[a.Arch], heads: 1, kvHeads: 1}
	n := 0
	for _, p := range a.Pairs {
		n += r.headsOf(p.Base)
	}
	return n
}
