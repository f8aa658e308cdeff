package newmodel

import (
	"fmt"
	"math"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
)

// blocks says how random bytes become blocks of a quantised type whose values
// have mean zero and a wanted deviation. Places are byte offsets in the block
// structs of ggml-common.h.
type blocks struct {
	scale  int          // of the F16 scale
	min    int          // of the F16 minimum; 0: the type has none
	centre float64      // minimum that makes the mean zero, for scale 1
	rms    float64      // root mean square of the values for scale 1
	pair   func([]byte) // gives sub-blocks a minimum equal to their scale
}

// blockTypes has every quantised type that can be trained on. In types without a
// minimum the codes are not symmetric about zero; the scale's sign is random, so
// that the values are.
var blockTypes = map[gguf.Type]blocks{
	gguf.Q4_0:   {rms: rmsBetween(-8, 7)},
	gguf.Q4_1:   {min: 2, centre: -7.5, rms: spread(16)},
	gguf.Q5_0:   {rms: rmsBetween(-16, 15)},
	gguf.Q5_1:   {min: 2, centre: -15.5, rms: spread(32)},
	gguf.Q8_0:   {rms: rmsBetween(-128, 127)},
	gguf.Q2_K:   {scale: 80, min: 82, centre: 1.5, rms: rmsBetween(0, 15) * spread(4), pair: pairQ2K},
	gguf.Q3_K:   {scale: 108, rms: rmsBetween(-32, 31) * rmsBetween(-4, 3)},
	gguf.Q4_K:   {min: 2, centre: 7.5, rms: rmsBetween(0, 63) * spread(16), pair: pairQ4K},
	gguf.Q5_K:   {min: 2, centre: 15.5, rms: rmsBetween(0, 63) * spread(32), pair: pairQ4K},
	gguf.Q6_K:   {scale: 208, rms: rmsBetween(-128, 127) * rmsBetween(-32, 31)},
	gguf.IQ4_NL: {rms: rmsIQ4},
	gguf.IQ4_XS: {rms: rmsBetween(-32, 31) * rmsIQ4},
}

// rmsIQ4 is the root mean square of ggml's table kvalues_iq4nl.
const rmsIQ4 = 67.4389

// rmsBetween is the root mean square of the integers from low to high.
func rmsBetween(low, high int) float64 {
	sum := 0.0
	for v := low; v <= high; v++ {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(high-low+1))
}

// spread is the standard deviation of n consecutive integers.
func spread(n float64) float64 { return math.Sqrt((n*n - 1) / 12) }

// pairQ2K copies each scale, the low half of a byte, over the minimum above it.
func pairQ2K(b []byte) {
	for i := range 16 {
		b[i] = b[i]&0x0f | b[i]<<4
	}
}

// pairQ4K does so in the twelve bytes of Q4_K and Q5_K: four hold 6-bit scales
// with two more bits for a later scale, four the minima likewise, and four the
// low halves of the later ones.
func pairQ4K(b []byte) {
	copy(b[8:12], b[4:8])
	for i := 12; i < 16; i++ {
		b[i] = b[i]&0x0f | b[i]<<4
	}
}

// blockFiller fills whole blocks with the given F16 scale and minimum.
type blockFiller struct {
	blocks
	size          int
	scaled, least [2]byte
}

// newBlockFiller computes the scale for a standard deviation of std.
func newBlockFiller(t gguf.Type, std float64) (*blockFiller, error) {
	b, ok := blockTypes[t]
	if !ok {
		return nil, fmt.Errorf("blocks of %s cannot be made at random", t)
	}
	f := &blockFiller{blocks: b, size: int(t.TypeSize())}
	scale := []float32{float32(std / b.rms)}
	if err := ggml.Quantize(ggml.F16, scale, 1, nil, f.scaled[:]); err != nil {
		return nil, err
	}
	if err := ggml.Dequantize(ggml.F16, f.scaled[:], scale); err != nil {
		return nil, err
	}
	return f, ggml.Quantize(ggml.F16, []float32{scale[0] * float32(b.centre)}, 1, nil, f.least[:])
}

func (f *blockFiller) fill(dst []byte, r source) {
	r.bytes(dst)
	for ; len(dst) > 0; dst = dst[f.size:] {
		sign := dst[f.scale] & 0x80
		dst[f.scale], dst[f.scale+1] = f.scaled[0], f.scaled[1]
		if f.min == 0 {
			dst[f.scale+1] |= sign
			continue
		}
		dst[f.min], dst[f.min+1] = f.least[0], f.least[1]
		if f.pair != nil {
			f.pair(dst)
		}
	}
}
