package lora

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

// plainKernels know F32, F16 and Q8_0, written from the formats' definitions.
func plainKernels() Kernels {
	k := Kernels{
		Supports: func(t gguf.Type) bool { return t == gguf.F32 || t == gguf.F16 || t == gguf.Q8_0 },
		Dequantize: func(t gguf.Type, src []byte, dst []float32) error {
			if t != gguf.Q8_0 {
				return widen(t, src, dst)
			}
			for i := range dst {
				block := src[i/32*34:]
				dst[i] = fromF16(binary.LittleEndian.Uint16(block)) * float32(int8(block[2+i%32]))
			}
			return nil
		},
	}
	k.Store = func(t gguf.Type, src []float32, rowLen int, dst []byte, scratch []float32) (float64, float64, error) {
		if err := quantize(t, src, dst); err != nil {
			return 0, 0, err
		}
		if err := k.Dequantize(t, dst, scratch); err != nil {
			return 0, 0, err
		}
		lost, norm := compare(scratch, src)
		return lost, norm, nil
	}
	return k
}

func quantize(t gguf.Type, src []float32, dst []byte) error {
	switch t {
	case gguf.F32:
		copy(dst, encodeF32(src))
	case gguf.F16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], toF16(x))
		}
	case gguf.Q8_0:
		for i := 0; i < len(src); i += 32 {
			quantizeQ8(src[i:i+32], dst[i/32*34:])
		}
	default:
		return fmt.Errorf("no %s", t)
	}
	return nil
}

func quantizeQ8(src []float32, dst []byte) {
	largest := float32(0)
	for _, x := range src {
		largest = max(largest, float32(math.Abs(float64(x))))
	}
	scale := largest / 127
	binary.LittleEndian.PutUint16(dst, toF16(scale))
	for i, x := range src {
		if scale != 0 {
			dst[2+i] = byte(int8(math.Round(float64(x / scale))))
		}
	}
}

// toF16 finds the nearest half by the spacing of halves around x.
func toF16(x float32) uint16 {
	sign := uint16(math.Float32bits(x) >> 16 & 0x8000)
	v := math.Abs(float64(x))
	if v == 0 {
		return sign
	}
	if v >= 65520 {
		return sign | 0x7c00
	}
	_, exp := math.Frexp(v)
	spacing := math.Ldexp(1, max(exp-11, -24))
	units := math.RoundToEven(v / spacing)
	if exp-11 <= -24 {
		return sign | uint16(units)
	}
	return sign | (uint16(exp+13)<<10 + uint16(units))
}

func TestToF16(t *testing.T) {
	for h := range uint16(0x7c00) {
		if got := toF16(fromF16(h)); got != h {
			t.Fatalf("half %#04x is %g, which is half %#04x", h, fromF16(h), got)
		}
	}
}

func TestGoKernels(t *testing.T) {
	const seed = 11
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, s := range []struct{ rows, rank, nIn int }{{1, 1, 1}, {3, 4, 5}, {5, 7, 33}, {2, 16, 64}} {
		w, b, a := randoms(rng, s.rows*s.nIn), randoms(rng, s.rows*s.rank), randoms(rng, s.rank*s.nIn)
		want := make([]float64, len(w))
		for i := range want {
			want[i] = float64(w[i])
			for k := range s.rank {
				want[i] += float64(b[i/s.nIn*s.rank+k]) * float64(a[k*s.nIn+i%s.nIn])
			}
		}
		if err := addProduct(w, b, a, s.rank, s.nIn); err != nil {
			t.Fatal(err)
		}
		if d := distance(w, want); d > 1e-6 {
			t.Errorf("seed %d, %+v: off by %g", seed, s, d)
		}
	}
	if d, n := compare([]float32{1, 2}, []float32{3, 2}); d != 4 || n != 13 {
		t.Errorf("compare gave %g and %g, want 4 and 13", d, n)
	}
}
