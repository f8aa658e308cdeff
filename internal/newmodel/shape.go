package newmodel

import (
	"fmt"
	"strconv"
	"strings"
)

// Shape is the size of a llama-architecture model.
type Shape struct {
	Embd    int     // width of the residual stream
	FFN     int     // width of the gated feed-forward layer
	Layers  int     // decoder blocks
	Heads   int     // query heads
	KVHeads int     // key and value heads; divides Heads
	Context int     // longest sequence, in tokens
	Rope    float64 // base of the rotary frequencies
	Eps     float64 // epsilon of the RMS norms
	Tied    bool    // the output head shares the token embedding
}

// DefaultShape is the embedded model's. Every row width is a multiple of 256, so
// that the K-quants apply to every matrix.
func DefaultShape() Shape {
	return Shape{Embd: 256, FFN: 768, Layers: 6, Heads: 4, KVHeads: 2, Context: 1024, Rope: 10000, Eps: 1e-5}
}

// limit bounds each dimension, so that a slip of the finger is an error and not
// an allocation.
const limit = 1 << 20

// ParseShape changes the default shape by a list such as
// "embd=256,ffn=768,layers=6,heads=4,kv-heads=2,context=1024,rope=10000,tied=true".
func ParseShape(list string) (Shape, error) {
	s := DefaultShape()
	for _, item := range strings.Split(list, ",") {
		if item == "" {
			continue
		}
		key, value, ok := strings.Cut(item, "=")
		if !ok {
			return s, fmt.Errorf("shape item %q is not of the form name=value", item)
		}
		if err := s.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
			return s, err
		}
	}
	return s, s.Check()
}

func (s *Shape) set(key, value string) (err error) {
	ints := map[string]*int{
		"embd": &s.Embd, "ffn": &s.FFN, "layers": &s.Layers, "heads": &s.Heads, "kv-heads": &s.KVHeads, "context": &s.Context,
	}
	floats := map[string]*float64{"rope": &s.Rope, "eps": &s.Eps}
	key = strings.ReplaceAll(key, "_", "-")
	switch {
	case ints[key] != nil:
		*ints[key], err = strconv.Atoi(value)
	case floats[key] != nil:
		*floats[key], err = strconv.ParseFloat(value, 64)
	case key == "tied":
		s.Tied, err = strconv.ParseBool(value)
	default:
		return fmt.Errorf("unknown shape item %q: choose from embd, ffn, layers, heads, kv-heads, context, rope, eps, tied", key)
	}
	if err != nil {
		return fmt.Errorf("shape item %s=%s: %w", key, value, err)
	}
	return nil
}

// HeadDim is the width of one head.
func (s Shape) HeadDim() int { return s.Embd / s.Heads }

// Check refuses a shape that libllama cannot run.
func (s Shape) Check() error {
	for _, d := range []struct {
		name  string
		value int
	}{{"embd", s.Embd}, {"ffn", s.FFN}, {"layers", s.Layers}, {"heads", s.Heads}, {"kv-heads", s.KVHeads}, {"context", s.Context}} {
		if d.value < 1 || d.value > limit {
			return fmt.Errorf("shape item %s=%d is out of range 1 to %d", d.name, d.value, limit)
		}
	}
	switch {
	case s.Embd%s.Heads != 0:
		return fmt.Errorf("embd=%d cannot be divided among heads=%d", s.Embd, s.Heads)
	case s.HeadDim()%2 != 0:
		return fmt.Errorf("embd=%d over heads=%d gives a head of odd width %d, which cannot be rotated", s.Embd, s.Heads, s.HeadDim())
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("heads=%d cannot share kv-heads=%d evenly", s.Heads, s.KVHeads)
	case !(s.Rope > 1) || s.Rope > 1e12:
		return fmt.Errorf("rope=%g is out of range 1 to 1e12", s.Rope)
	case !(s.Eps > 0) || s.Eps > 1e-2:
		return fmt.Errorf("eps=%g is out of range 0 to 0.01", s.Eps)
	}
	return nil
}
