package ggml

import (
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
