package stats

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
)

func TestPackingHoldsEveryToken(t *testing.T) {
	sources := []dataset.Source{{Path: "a", Weight: 1}}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 9))
		samples := make([]Sized, 1+r.IntN(3000))
		size := 16 << r.IntN(6)
		kept, fit := 0, 0
		for i := range samples {
			samples[i].Tokens = 1 + r.IntN(700)
			kept += min(samples[i].Tokens, size)
			if samples[i].Tokens <= size {
				fit++
			}
		}
		p, err := Pack(samples, sources, size, seed)
		if err != nil {
			t.Fatal(err)
		}
		positions := float64(p.Rows * size)
		if math.Abs(p.Fill*positions-float64(kept)) > 0.01 {
			t.Errorf("seed %d: %d rows of %d hold %.1f tokens, want %d", seed, p.Rows, size, p.Fill*positions, kept)
		}
		if want := float64(kept) / float64(len(samples)*size); math.Abs(p.UnpackedFill-want) > 1e-9 || p.Fill < p.UnpackedFill {
			t.Errorf("seed %d: unpacked fill %g, want %g, packed %g", seed, p.UnpackedFill, want, p.Fill)
		}
		if want := float64(fit) / float64(len(samples)); math.Abs(p.Fit-want) > 1e-9 {
			t.Errorf("seed %d: fit %g, want %g", seed, p.Fit, want)
		}
	}
}

func TestPackingFollowsWeights(t *testing.T) {
	samples := []Sized{{Tokens: 10}, {Tokens: 10, Source: 1}}
	p, err := Pack(samples, []dataset.Source{{Path: "a", Weight: 1}, {Path: "b", Weight: 3}}, 10, 1)
	if err != nil || p.Rows != 4 {
		t.Errorf("%d rows, %v: want 1 and 3 times a row", p.Rows, err)
	}
}

func TestSuggest(t *testing.T) {
	all := []Packing{{Size: 10, Fit: 0.5}, {Size: 20, Fit: 0.9}, {Size: 30, Fit: 0.95}}
	for _, c := range []struct {
		cover float64
		size  int
		ok    bool
	}{{0.4, 10, true}, {0.9, 20, true}, {0.95, 30, true}, {1, 30, false}} {
		if size, ok := Suggest(all, c.cover); size != c.size || ok != c.ok {
			t.Errorf("cover %g: %d, %t, want %d, %t", c.cover, size, ok, c.size, c.ok)
		}
	}
	if _, ok := Suggest(nil, 0.5); ok {
		t.Error("nothing tried, nothing to suggest")
	}
}
