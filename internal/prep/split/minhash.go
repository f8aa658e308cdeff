package split

import (
	"math/bits"
	"math/rand/v2"
)

// MinHash with locality-sensitive hashing: perms permutations of the shingles'
// hashes, in bands of rows. Two sets of Jaccard similarity J agree in a band
// with probability J^rows, so they meet in at least one with
// 1-(1-J^rows)^bands: 0.87 at J = 0.5, 0.9998 at 0.7, and all but 5 in 10^8
// at 0.8.
const (
	perms = 128
	bands = 32
	rows  = perms / bands
)

// minNear is the least similarity that the bands find reliably.
const minNear = 0.5

// prime is 2^61-1, the modulus of the permutations (a*h + b) mod prime.
const prime = 1<<61 - 1

// permutations are the same in every run: shards and versions must agree.
var permutations = func() (p [perms]struct{ a, b uint64 }) {
	rng := rand.New(rand.NewPCG(0x716c6f7261, perms))
	for i := range p {
		p[i].a = 1 + rng.Uint64N(prime-1)
		p[i].b = rng.Uint64N(prime)
	}
	return p
}()

// signature is what is kept of a set of shingles.
type signature struct {
	bands [bands]uint64 // hashes of rows
	slots [perms]uint16 // the low bits of each minimum, to estimate J
}

// sign computes the signature of shingles, of which there must be some. Their
// order and repetition play no part.
func sign(shingles []uint64) (s signature) {
	for band := range bands {
		h := uint64(band)
		for row := range rows {
			i := band*rows + row
			least := minimum(permutations[i].a, permutations[i].b, shingles)
			s.slots[i] = uint16(least)
			h = (h ^ least) * spread
			h ^= h >> 32
		}
		s.bands[band] = h
	}
	return s
}

// minimum is the least (a*h + b) mod prime over the shingles. With a shifted by
// the three bits that prime is short of a word, the halves of the product are
// its quotient and remainder by 2^61, which add up to it modulo prime. The
// remainder prime itself may stand for 0: it depends on h alone.
func minimum(a, b uint64, shingles []uint64) uint64 {
	least := uint64(1 << 62)
	a <<= 3
	for _, h := range shingles {
		hi, lo := bits.Mul64(a, h>>3)
		x := hi + lo>>3 + b
		least = min(least, x&prime+x>>61)
	}
	return least
}

// slotBytes is the size of the slots as bytes.
const slotBytes = 2 * perms

// estimate is the similarity that two signatures' slots suggest, give or take
// 0.04.
func estimate(a, b []byte) float64 {
	same := 0
	for i := 0; i+1 < len(a) && i+1 < len(b); i += 2 {
		if a[i] == b[i] && a[i+1] == b[i+1] {
			same++
		}
	}
	return float64(same) / perms
}
