package model

import (
	"fmt"
	"math"

	"github.com/qlora/qlora/internal/gguf"
)

// Rope is the rotary embedding with every scaling folded in: the angle of pair i at position t is t*Frequencies[i], and
// sines and cosines are multiplied by Magnitude.
type Rope struct {
	Dims        int64 // rotated dimensions of a head
	Neox        bool  // pairs are (i, i+Dims/2); otherwise (2i, 2i+1)
	Frequencies []float32
	Magnitude   float32
}

// readRope follows llama.cpp: linear scaling divides positions, YaRN (Peng et al. 2023, section 3) mixes scaled and
// unscaled frequencies by wavelength, and llama 3 files carry a factor per frequency in rope_freqs.weight.
func (p *Params) readRope(f *gguf.File, k *keys) error {
	r := &p.Rope
	r.Dims = k.or("rope.dimension_count", p.HeadDim)
	r.Neox, r.Magnitude = p.Arch != "llama", 1
	if r.Dims < 2 || r.Dims%2 != 0 || r.Dims > p.HeadDim {
		return fmt.Errorf("read %s: %d rotated dimensions in heads of %d", f.Paths()[0], r.Dims, p.HeadDim)
	}
	base := k.floatOr("rope.freq_base", 10000)
	factors, err := ropeFactors(f, r.Dims/2)
	if err != nil {
		return err
	}
	r.Frequencies = make([]float32, r.Dims/2)
	for i := range r.Frequencies {
		r.Frequencies[i] = float32(math.Pow(base, -2*float64(i)/float64(r.Dims)) / factors[i])
	}
	return p.scaleRope(f, k, base)
}

func (p *Params) scaleRope(f *gguf.File, k *keys, base float64) error {
	kind, ok := f.String(p.Arch + ".rope.scaling.type")
	if !ok {
		kind = "linear"
	}
	factor := k.floatOr("rope.scaling.factor", k.floatOr("rope.scale_linear", 0))
	if factor == 0 {
		factor = 1
	}
	p.Rope.Magnitude = float32(k.floatOr("rope.scaling.attn_factor", 1))
	switch kind {
	case "none":
	case "linear":
		for i := range p.Rope.Frequencies {
			p.Rope.Frequencies[i] /= float32(factor)
		}
	case "yarn":
		p.yarn(k, base, factor)
	default:
		return unsupported("rope scaling %s cannot be trained yet; none, linear, yarn and rope_freqs can", kind)
	}
	return nil
}

// yarn mixes pair i between the scaled and the unscaled frequency along a ramp over the dimensions whose wavelengths fit
// the original context between betaSlow and betaFast times.
func (p *Params) yarn(k *keys, base, factor float64) {
	const betaFast, betaSlow = 32, 1
	context := float64(k.or("rope.scaling.original_context_length", p.CtxTrain))
	dims := float64(p.Rope.Dims)
	turn := func(beta float64) float64 {
		return dims * math.Log(context/(beta*2*math.Pi)) / (2 * math.Log(base))
	}
	low := math.Max(0, math.Floor(turn(betaFast)))
	high := math.Min(dims-1, math.Ceil(turn(betaSlow)))
	for i := range p.Rope.Frequencies {
		ramp := (float64(i) - low) / math.Max(0.001, high-low)
		keep := 1 - math.Min(1, math.Max(0, ramp))
		p.Rope.Frequencies[i] *= float32((1-keep)/factor + keep)
	}
	p.Rope.Magnitude *= float32(1 + 0.1*math.Log(factor))
}

func ropeFactors(f *gguf.File, n int64) ([]float64, error) {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	for _, name := range []string{"rope_factors_long.weight", "rope_factors_short.weight"} {
		if _, ok := f.Tensor(name); ok {
			return nil, unsupported("%s: longrope scaling cannot be trained yet", name)
		}
	}
	t, ok := f.Tensor("rope_freqs.weight")
	if !ok {
		return out, nil
	}
	if t.Type != gguf.F32 || t.Elements() != n {
		return nil, fmt.Errorf("read %s: rope_freqs.weight is not F32 [%d]", f.Paths()[0], n)
	}
	for i, v := range float32s(f.Data(t)) {
		if out[i] = float64(v); v <= 0 {
			return nil, fmt.Errorf("read %s: rope_freqs.weight holds %g", f.Paths()[0], v)
		}
	}
	return out, nil
}

// float32s decodes little-endian values; the mapping they come from may lie on any boundary.
func float32s(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24)
	}
	return out
}
