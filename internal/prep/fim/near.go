package fim

import "math/bits"

// sketch is a MinHash of the runs of five words of a text, by one permutation
// divided into bins. The share of bins that agree estimates the Jaccard index
// of two texts, with a standard error under 0.05.
type sketch [sketchBins]uint32

const (
	sketchBins = 128
	shingle    = 5
	// nearDuplicate is the estimate from which on two files count as versions
	// of one another. It leaves four standard errors to an index of 0.6.
	nearDuplicate = 0.4
)

// newSketch reads the words of a text: runs of letters, digits and
// underscores, without regard to case, and of other bytes above ASCII.
func newSketch(src []byte) *sketch {
	s := &sketch{}
	for i := range s {
		s[i] = ^uint32(0)
	}
	var last [shingle]uint64
	words := 0
	h := uint64(fnvStart)
	for i := 0; i <= len(src); i++ {
		if i < len(src) && wordByte[src[i]] != 0 {
			h = (h ^ uint64(wordByte[src[i]])) * fnvPrime
			continue
		}
		if h == fnvStart {
			continue
		}
		last[words%shingle] = h
		words++
		h = fnvStart
		if words >= shingle {
			s.add(join(last, words))
		}
	}
	if words < shingle {
		s.add(join(last, shingle))
	}
	return s
}

const (
	fnvStart = 14695981039346656037
	fnvPrime = 1099511628211
)

// join hashes the last words in their order; next is the number of the word
// to come.
func join(last [shingle]uint64, next int) uint64 {
	h := uint64(0)
	for k := range shingle {
		h = (bits.RotateLeft64(h, 23) ^ last[(next+k)%shingle]) * 0x9e3779b97f4a7c15
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

func (s *sketch) add(h uint64) {
	bin := h >> 57
	s[bin] = min(s[bin], uint32(h))
}

// similarity estimates the Jaccard index.
func (s *sketch) similarity(o *sketch) float64 {
	same, all := 0, 0
	for i := range s {
		if s[i] == ^uint32(0) && o[i] == ^uint32(0) {
			continue
		}
		all++
		if s[i] == o[i] {
			same++
		}
	}
	return float64(same) / float64(max(all, 1))
}

// wordByte folds the bytes of words to one case; others are 0.
var wordByte = func() (table [256]byte) {
	for c := range table {
		b := byte(c)
		switch {
		case b >= 'A' && b <= 'Z':
			table[c] = b + 'a' - 'A'
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '_', b >= 0x80:
			table[c] = b
		}
	}
	return table
}()
