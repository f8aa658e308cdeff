package split

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// pairOf draws two sets of n hashes whose similarity is near to j, and says
// what it is.
func pairOf(rng *rand.Rand, n int, j float64) (a, b []uint64, exact float64) {
	common := int(math.Round(2 * j * float64(n) / (1 + j)))
	for range common {
		h := rng.Uint64()
		a, b = append(a, h), append(b, h)
	}
	for range n - common {
		a, b = append(a, rng.Uint64()), append(b, rng.Uint64())
	}
	slices.Sort(a)
	slices.Sort(b)
	return a, b, jaccard(a, b)
}

// The bands find pairs as often as theory says: all at 0.8, and few at 0.2.
// The estimate has no bias and the deviation of 128 draws.
func TestBandsAndEstimates(t *testing.T) {
	const seed, pairs = 9, 4000
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, j := range []float64{0.2, 0.5, 0.7, 0.8, 0.95} {
		met, expected, bias, spread := 0, 0.0, 0.0, 0.0
		for range pairs {
			a, b, exact := pairOf(rng, 20+rng.IntN(100), j)
			p, q := sign(a), sign(b)
			for band := range bands {
				if p.bands[band] == q.bands[band] {
					met++
					break
				}
			}
			expected += 1 - math.Pow(1-math.Pow(exact, rows), bands)
			off := slotEstimate(p, q) - exact
			bias += off / pairs
			spread += off * off / pairs
		}
		deviation := 4*math.Sqrt(expected*(1-expected/pairs)) + 1
		if math.Abs(float64(met)-expected) > deviation {
			t.Errorf("seed %d, J = %.2f: %d of %d pairs met, want %.1f give or take %.1f", seed, j, met, pairs, expected, deviation)
		}
		if j >= 0.8 && met != pairs {
			t.Errorf("seed %d, J = %.2f: %d pairs never met", seed, j, pairs-met)
		}
		if want := math.Sqrt(j * (1 - j) / perms); math.Abs(bias) > 0.01 || math.Abs(math.Sqrt(spread)-want) > 0.01 {
			t.Errorf("seed %d, J = %.2f: bias %.4f, deviation %.4f, want %.4f", seed, j, bias, math.Sqrt(spread), want)
		}
	}
}

func slotEstimate(p, q signature) float64 {
	same := 0
	for i := range p.slots {
		if p.slots[i] == q.slots[i] {
			same++
		}
	}
	return float64(same) / perms
}

// A permutation is (a*h + b) mod 2^61-1, as arithmetic on big numbers has it.
func TestPermutation(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	p := new(big.Int).SetUint64(prime)
	for range 2000 {
		a, b, h := 1+rng.Uint64N(prime-1), rng.Uint64N(prime), rng.Uint64()
		want := new(big.Int).SetUint64(a)
		want.Mul(want, new(big.Int).SetUint64(h>>3)).Add(want, new(big.Int).SetUint64(b)).Mod(want, p)
		if got := (permutation{a, b}).of(h); got%prime != want.Uint64() {
			t.Fatalf("(%d*%d + %d) mod prime is %d, want %s", a, h>>3, b, got, want)
		}
	}
}

// The store gives back what was added, from memory and from disk.
func TestStore(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for i, budget := range []int64{0, 2 * pageBytes, 1 << 30} {
		s := newStore(t.TempDir(), budget)
		var all []signature
		for range 3*pageRows + 5*(i%2) {
			var sig signature
			for i := range sig.bands {
				sig.bands[i] = rng.Uint64()
			}
			for i := range sig.slots {
				sig.slots[i] = uint16(rng.Uint32())
			}
			all = append(all, sig)
			if err := s.add(&sig); err != nil {
				t.Fatal(err)
			}
		}
		next := 0
		err := s.band(7, func(id uint32, h uint64) {
			if int(id) != next || h != all[id].bands[7] {
				t.Fatalf("record %d after %d", id, next)
			}
			next++
		})
		if err != nil || next != len(all) {
			t.Fatalf("%d records of %d, %v", next, len(all), err)
		}
		buf := make([]byte, slotBytes)
		for id := range all {
			slots, err := s.slots(uint32(id), buf)
			if err != nil || slots[2*100] != byte(all[id].slots[100]) || slots[2*100+1] != byte(all[id].slots[100]>>8) {
				t.Fatalf("budget %d: slots of record %d, %v", budget, id, err)
			}
		}
		if (s.spilled() > 0) != (budget < 1<<30) {
			t.Errorf("budget %d: %d bytes on disk", budget, s.spilled())
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}
