package batch

import (
	"math"
	"slices"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/serve/engine"
)

// logprob tells how likely token was after output i of c, and which top tokens
// were the most likely.
func logprob(c *llama.Context, i int, token int32, top int) *engine.Logprob {
	logits := c.Logits(i)
	norm := logSum(logits)
	v := c.Model().Vocab()
	out := &engine.Logprob{Token: v.Decode([]int32{token}), Logprob: float64(logits[token]) - norm}
	for _, t := range largest(logits, top) {
		out.Top = append(out.Top, engine.Alternative{Token: v.Decode([]int32{t}), Logprob: float64(logits[t]) - norm})
	}
	return out
}

// logSum is log(sum(exp(x))).
func logSum(x []float32) float64 {
	most := slices.Max(x)
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v - most))
	}
	return float64(most) + math.Log(sum)
}

// largest returns the indices of the n largest values, largest first.
func largest(x []float32, n int) []int32 {
	n = min(n, len(x))
	if n == 0 {
		return nil
	}
	var best []int32
	for i, v := range x {
		if len(best) == n && v <= x[best[n-1]] {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, v, func(b int32, v float32) int {
			if x[b] >= v {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, int32(i))
		best = best[:min(n, len(best))]
	}
	return best
}
