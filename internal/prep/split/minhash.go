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
var permutations = func() (p [bands][rows]permutation) {
	rng := rand.New(rand.NewPCG(0x716c6f7261, perms))
	for band := range p {
		for row := range p[band] {
			p[band][row] = permutation{a: 1 + rng.Uint64N(prime-1), b: rng.Uint64N(prime)}
		}
	}
	return p
}()

type permutation struct{ a, b uint64 }

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
		for row, least := range minima(&permutations[band], shingles) {
			s.slots[band*rows+row] = uint16(least)
			h = (h ^ least) * spread
			h ^= h >> 32
		}
		s.bands[band] = h
	}
	return s
}

// minima is the least (a*h + b) mod prime over the shingles for each row of a
// band: four at a time, since one alone waits for its own last minimum.
func minima(p *[rows]permutation, shingles []uint64) [rows]uint64 {
	w, x, y, z := uint64(1<<62), uint64(1<<62), uint64(1<<62), uint64(1<<62)
	a, b, c, d := p[0], p[1], p[2], p[3]
	for _, h := range shingles {
		w, x = min(w, a.of(h)), min(x, b.of(h))
		y, z = min(y, c.of(h)), min(z, d.of(h))
	}
	return [rows]uint64{w, x, y, z}
}

// of is (a*h + b) mod prime of the upper 61 bits of h. With a shifted by the
// three bits that prime is short of a word, the halves of the product are its
// quotient and remainder by 2^61, which add up to it modulo prime. The
// remainder prime itself may stand for 0: it depends on h alone.
func (p permutation) of(h uint64) uint64 {
	hi, lo := bits.Mul64(p.a<<3, h>>3)
	x := hi + lo>>3 + p.b
	return x&prime + x>>61
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
