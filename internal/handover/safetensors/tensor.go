package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Element types that adapters come in, as the format spells them.
const (
	F32  = "F32"
	F16  = "F16"
	BF16 = "BF16"
)

// Info is a tensor's entry in the header.
type Info struct {
	Name  string
	Type  string  // F32, F16, BF16, or one that only Info can tell of
	Shape []int64 // as in PyTorch, innermost last

	start, end int64 // of its bytes, from the end of the header
}

// elements is the product of the shape; ok is false when it cannot be.
func elements(shape []int64) (n int64, ok bool) {
	n = 1
	for _, d := range shape {
		if d < 0 || d > 0 && n > math.MaxInt64/8/d {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// width is the bytes of an element, 0 for a type that cannot be read here.
func width(kind string) int64 {
	switch kind {
	case F32:
		return 4
	case F16, BF16:
		return 2
	}
	return 0
}

// encode appends values in a type. A value that the type cannot hold is an
// error, as it would become infinite.
func encode(kind string, values []float32) ([]byte, error) {
	le := binary.LittleEndian
	out := make([]byte, 0, int64(len(values))*width(kind))
	for i, v := range values {
		switch kind {
		case F32:
			out = le.AppendUint32(out, math.Float32bits(v))
		case BF16:
			out = le.AppendUint16(out, toBF16(v))
		case F16:
			h := toF16(v)
			if h&0x7fff == 0x7c00 {
				return nil, fmt.Errorf("value %d is %g, more than F16 holds", i, v)
			}
			out = le.AppendUint16(out, h)
		default:
			return nil, fmt.Errorf("element type %q cannot be written", kind)
		}
	}
	return out, nil
}

// toBF16 rounds to the nearest, ties to even.
func toBF16(v float32) uint16 {
	bits := math.Float32bits(v)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

// toF16 rounds to the nearest IEEE half, ties to even; what is too large
// becomes infinite.
func toF16(v float32) uint16 {
	bits := math.Float32bits(v)
	sign := uint16(bits >> 16 & 0x8000)
	magnitude := math.Abs(float64(v))
	switch {
	case magnitude >= 65520:
		return sign | 0x7c00
	case magnitude < 1.0/(1<<14): // subnormal: a multiple of 2^-24
		return sign | uint16(math.RoundToEven(magnitude*(1<<24)))
	}
	bits &= 0x7fffffff
	bits += 0xfff + bits>>13&1
	return sign | uint16((bits-(112<<23))>>13)
}
