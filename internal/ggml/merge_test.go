package ggml

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

func TestAddProduct(t *testing.T) {
	const seed = 5
	rng := rand.New(rand.NewPCG(seed, 1))
	draw := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rng.NormFloat64())
		}
		return v
	}
	for _, s := range []struct{ rows, rank, nIn int }{{1, 1, 1}, {3, 2, 7}, {13, 16, 65}, {250, 8, 96}, {5, 300, 33}, {2, 4, 1100}} {
		w, b, a := draw(s.rows*s.nIn), draw(s.rows*s.rank), draw(s.rank*s.nIn)
		want := make([]float64, len(w))
		for i := range want {
			want[i] = float64(w[i])
			for k := range s.rank {
				want[i] += float64(b[i/s.nIn*s.rank+k]) * float64(a[k*s.nIn+i%s.nIn])
			}
		}
		if err := AddProduct(w, b, a, s.rank, s.nIn); err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Abs(float64(w[i])-want[i]) > 1e-5*(1+math.Abs(want[i]))*math.Sqrt(float64(s.rank)) {
				t.Fatalf("seed %d, %+v: value %d is %g, want %g", seed, s, i, w[i], want[i])
			}
		}
	}
	if AddProduct(make([]float32, 8), make([]float32, 2), make([]float32, 5), 1, 4) == nil {
		t.Error("A of another size was accepted")
	}
}

func TestCompare(t *testing.T) {
	for _, n := range []int{0, 1, 15, 1024, 5000} {
		x, y := make([]float32, n), make([]float32, n)
		var wantD, wantN float64
		for i := range x {
			x[i], y[i] = float32(i%7)+0.5, float32(i%5)
			d := float64(x[i] - y[i])
			wantD, wantN = wantD+d*d, wantN+float64(y[i]*y[i])
		}
		if d, norm := Compare(x, y); math.Abs(d-wantD) > 1e-6*wantD || math.Abs(norm-wantN) > 1e-6*wantN {
			t.Errorf("%d values: %g and %g, want %g and %g", n, d, norm, wantD, wantN)
		}
	}
}

// The halves are those of ggml bit for bit, with any instruction set: halfway cases, subnormals, overflow, odd lengths.
func TestStoreRowsF16(t *testing.T) {
	const seed = 6
	rng := rand.New(rand.NewPCG(seed, 1))
	src := []float32{0, float32(math.Copysign(0, -1)), 1, -2.5, 65504, 65519, 65520, 1e9, 6.1e-5, 5.9e-8, 2.9e-8, 1e-12,
		1 + 1.0/2048, 1 + 3.0/2048, -(1 + 1.0/2048), 2048.5, float32(math.Inf(-1))}
	for len(src) < 1027 {
		src = append(src, float32(rng.NormFloat64()*math.Exp(8*rng.NormFloat64())))
	}
	want, got := make([]byte, 2*len(src)), make([]byte, 2*len(src))
	if err := Quantize(F16, src, len(src), nil, want); err != nil {
		t.Fatal(err)
	}
	if _, _, err := StoreRows(F16, src, len(src), got, nil); err != nil {
		t.Fatal(err)
	}
	for i := range src {
		if !bytes.Equal(got[2*i:2*i+2], want[2*i:2*i+2]) {
			t.Errorf("seed %d: %g (value %d) is stored as %x, want %x", seed, src[i], i, got[2*i:2*i+2], want[2*i:2*i+2])
		}
	}
}

func TestStoreRowsMeasuresTheLoss(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 1))
	src := make([]float32, 512*3)
	for i := range src {
		src[i] = float32(rng.NormFloat64())
	}
	for _, typ := range []Type{F32, F16, BF16, Q8_0, Q4_1, Q6K} {
		dst, back := make([]byte, typ.RowBytes(int64(len(src)))), make([]float32, len(src))
		lost, norm, err := StoreRows(typ, src, 512, dst, make([]float32, len(src)))
		if err != nil {
			t.Fatal(err)
		}
		if err := Dequantize(typ, dst, back); err != nil {
			t.Fatal(err)
		}
		var wantLost, wantNorm float64
		for i, x := range src {
			d := float64(back[i]) - float64(x)
			wantLost, wantNorm = wantLost+d*d, wantNorm+float64(x)*float64(x)
		}
		if math.Abs(lost-wantLost) > 1e-5*wantLost || math.Abs(norm-wantNorm) > 1e-5*wantNorm {
			t.Errorf("seed %d, %s: lost %g of %g, want %g of %g", seed, typ, lost, norm, wantLost, wantNorm)
		}
	}
	if _, _, err := StoreRows(F16, src, 512, make([]byte, 7), nil); err == nil {
		t.Error("room for fewer values was accepted")
	}
}
