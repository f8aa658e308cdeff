package lora

import (
	"math"
	"slices"
	"testing"
)

func TestScale(t *testing.T) {
	plain := Config{Rank: 16, Alpha: 32}
	stable := Config{Rank: 16, Alpha: 32, RSLoRA: true}
	if plain.Scale() != 2 || stable.Scale() != 8 {
		t.Errorf("scales are %g and %g, want 2 and 8", plain.Scale(), stable.Scale())
	}
	// llama.cpp divides the stored alpha by the rank.
	for _, c := range []Config{plain, stable} {
		a := Adapter{Alpha: c.FileAlpha()}
		if got := a.Scale(Pair{Rank: 16}); got != c.Scale() {
			t.Errorf("the file gives scale %g, the config %g", got, c.Scale())
		}
	}
	if got := (&Adapter{}).Scale(Pair{Rank: 4}); got != 1 {
		t.Errorf("no alpha: scale %g, want 1", got)
	}
}

func TestConfigCheck(t *testing.T) {
	good := Config{Rank: 1, Alpha: 1}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, bad := range []Config{
		{Alpha: 1}, {Rank: 1}, {Rank: 1, Alpha: -1}, {Rank: 1, Alpha: math.NaN()}, {Rank: 1, Alpha: math.Inf(1)},
		{Rank: 1, Alpha: 1, Dropout: 1}, {Rank: 1, Alpha: 1, Dropout: -0.1}, {Rank: 1, Alpha: 1, Dropout: math.NaN()},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v passed", bad)
		}
	}
}

// The values are pinned: a run must be repeatable by later builds.
func TestInit(t *testing.T) {
	const rank, nIn = 64, 100
	a := Init(7, "blk.0.attn_q.weight", rank, nIn)
	if !slices.Equal(a, Init(7, "blk.0.attn_q.weight", rank, nIn)) {
		t.Error("the same seed and name gave other values")
	}
	if slices.Equal(a, Init(7, "blk.1.attn_q.weight", rank, nIn)) || slices.Equal(a, Init(8, "blk.0.attn_q.weight", rank, nIn)) {
		t.Error("another name or seed gave the same values")
	}
	var sum, squares, largest float64
	for _, x := range a {
		v := float64(x)
		sum, squares, largest = sum+v, squares+v*v, max(largest, math.Abs(v))
	}
	n := float64(len(a))
	bound := 0.1 // 1/sqrt(100)
	if largest > bound || largest < 0.99*bound {
		t.Errorf("largest value is %g, want just under %g", largest, bound)
	}
	if mean := sum / n; math.Abs(mean) > 4*bound/math.Sqrt(3*n) {
		t.Errorf("mean is %g", mean)
	}
	if variance, want := squares/n, bound*bound/3; math.Abs(variance-want) > 0.05*want {
		t.Errorf("variance is %g, want %g", variance, want)
	}
	pinned := []float32{-0.017781269, 0.045449246, 0.053863905, -0.06703819}
	if !slices.Equal(a[:4], pinned) {
		t.Errorf("Init(7, ...) starts with %v, want %v", a[:4], pinned)
	}
}
