package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// draw makes n lengths of one of several shapes.
func draw(r *rand.Rand, n int) []int {
	shapes := []func() int{
		func() int { return r.IntN(40) },
		func() int { return 900 + r.IntN(200) },
		func() int { return int(math.Exp(r.Float64() * 14)) },
		func() int { return 7 },
		func() int { return exactBelow - 20 + r.IntN(40) },
		func() int { return 1 << r.IntN(27) },
	}
	shape := shapes[r.IntN(len(shapes))]
	out := make([]int, n)
	for i := range out {
		out[i] = shape()
	}
	return out
}

func TestLengthsAgainstSorting(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		all := draw(r, 1+r.IntN(400))
		var whole, left, right Lengths
		for i, n := range all {
			whole.Add(n)
			if i%3 == 0 {
				left.Add(n)
			} else {
				right.Add(n)
			}
		}
		left.Merge(&right)
		slices.Sort(all)
		for _, l := range []*Lengths{&whole, &left} {
			checkPercentiles(t, seed, l, all)
			checkAtMost(t, seed, l, all)
			for _, limit := range []int{1, 4, 16, 24, 40} {
				checkBins(t, seed, l, limit)
			}
		}
	}
}

func checkPercentiles(t *testing.T, seed uint64, l *Lengths, sorted []int) {
	t.Helper()
	for _, p := range []float64{0.1, 5, 25, 50, 75, 90, 95, 99, 100} {
		want := sorted[max(1, int(math.Ceil(p/100*float64(len(sorted))-1e-9)))-1]
		got := l.Percentile(p)
		if exact := got == want; !exact && (want < exactBelow || got > want || float64(want-got) > 0.008*float64(want)) {
			t.Fatalf("seed %d: percentile %g is %d, want %d", seed, p, got, want)
		}
	}
}

func checkAtMost(t *testing.T, seed uint64, l *Lengths, sorted []int) {
	t.Helper()
	for _, size := range []int{0, 16, 1024, 32768} {
		var samples, tokens int64
		for _, n := range sorted {
			tokens += int64(min(n, size))
			if n <= size {
				samples++
			}
		}
		if s, k := l.AtMost(size); s != samples || k != tokens {
			t.Fatalf("seed %d: %d samples and %d tokens within %d, want %d and %d", seed, s, k, size, samples, tokens)
		}
	}
}

func checkBins(t *testing.T, seed uint64, l *Lengths, limit int) {
	t.Helper()
	bins := l.Bins(limit)
	var sum int64
	for i, b := range bins {
		sum += b.Samples
		if b.From >= b.To || i > 0 && b.From != bins[i-1].To {
			t.Fatalf("seed %d, limit %d: bins do not follow each other: %v", seed, limit, bins)
		}
	}
	if sum != l.Count() {
		t.Fatalf("seed %d, limit %d: bins hold %d samples of %d", seed, limit, sum, l.Count())
	}
	if len(bins) > max(limit, 2) {
		t.Fatalf("seed %d: %d bins, want at most %d: %v", seed, len(bins), limit, bins)
	}
}

func TestLengthsOfNothing(t *testing.T) {
	var l Lengths
	if l.Bins(10) != nil || l.Mean() != 0 || l.Percentile(50) != 0 {
		t.Error("no samples have no bins, mean 0 and percentile 0")
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		part, whole int64
		ascii       bool
		want        string
	}{
		{0, 8, false, "    "},
		{1, 1000, false, "▏   "},
		{3, 8, false, "█▌  "},
		{8, 8, false, "████"},
		{1, 1000, true, "#   "},
		{4, 8, true, "##  "},
		{8, 8, true, "####"},
		{0, 0, true, "    "},
	} {
		if got := bar(c.part, c.whole, 4, c.ascii); got != c.want {
			t.Errorf("bar of %d/%d, ascii %t: %q, want %q", c.part, c.whole, c.ascii, got, c.want)
		}
	}
}
