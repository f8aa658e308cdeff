package lora

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
)

// Init draws the starting A of one tensor, rank rows of nIn values: uniform
// between -1/sqrt(nIn) and 1/sqrt(nIn), which is PyTorch's
// kaiming_uniform_(a=sqrt(5)) and what PEFT uses. Each tensor has a random
// stream of its own, keyed by seed and name. B starts at zero, so that the
// adapted model starts as its base.
func Init(seed uint64, name string, rank, nIn int) []float32 {
	key := binary.LittleEndian.AppendUint64(nil, seed)
	r := rand.NewChaCha8(sha256.Sum256(append(key, name...)))
	bound := 1 / math.Sqrt(float64(nIn))
	a := make([]float32, rank*nIn)
	for i := range a {
		unit := float64(r.Uint64()>>11) / (1 << 53)
		a[i] = float32((2*unit - 1) * bound)
	}
	return a
}
