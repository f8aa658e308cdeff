package split

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// shingleWords is how many words make a shingle.
const shingleWords = 5

// minRelated is the number of shingles from which a duplicate says that two
// groups are related. Shorter texts, such as a greeting, are alike by chance.
const minRelated = 10

// shingler turns text into the hashes of its shingles: every run of
// shingleWords words, in lower case, without what is between words. A text of
// fewer words is one shingle. It is for one goroutine.
type shingler struct {
	words  []uint64
	hashes []uint64
}

// Constants of FNV-1a, and an odd constant that spreads bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
	spread    = 0x9e3779b97f4a7c15
)

// shingles returns the hashes in the order of the text, valid until the next
// call.
func (s *shingler) shingles(pieces []string) []uint64 {
	s.words = s.words[:0]
	for _, text := range pieces {
		s.split(text)
	}
	s.hashes = s.hashes[:0]
	if n := len(s.words); n > 0 {
		width := min(shingleWords, n)
		for i := 0; i+width <= n; i++ {
			s.hashes = append(s.hashes, join(s.words[i:i+width]))
		}
	}
	return s.hashes
}

// set returns the hashes sorted, each once, in memory of their own.
func (s *shingler) set(pieces []string) []uint64 {
	set := slices.Clone(s.shingles(pieces))
	slices.Sort(set)
	return slices.Compact(set)
}

// join hashes words in their order.
func join(words []uint64) uint64 {
	h := uint64(len(words))
	for _, w := range words {
		h = (h ^ w) * spread
		h ^= h >> 32
	}
	return h
}

// split adds the hashes of the words of text. Letters, digits and underscores
// make words; scripts that write no spaces count each letter.
func (s *shingler) split(text string) {
	h, inWord := uint64(fnvOffset), false
	end := func() {
		if inWord {
			s.words = append(s.words, h)
			h, inWord = fnvOffset, false
		}
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			if c = wordBytes[c]; c == 0 {
				end()
				continue
			}
			h, inWord = (h^uint64(c))*fnvPrime, true
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		alone := unspaced(r)
		if alone || !unicode.In(r, unicode.L, unicode.M, unicode.N) {
			end()
		}
		if alone || unicode.In(r, unicode.L, unicode.M, unicode.N) {
			h, inWord = (h^uint64(unicode.ToLower(r)))*fnvPrime, true
		}
		if alone {
			end()
		}
	}
	end()
}

// unspaced tells the letters of scripts that are written without spaces.
func unspaced(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// wordBytes maps an ASCII byte to its lower case when it belongs to a word,
// else to 0.
var wordBytes = func() (table [utf8.RuneSelf]byte) {
	for c := range table {
		b := byte(c)
		switch {
		case b >= 'A' && b <= 'Z':
			table[c] = b + 'a' - 'A'
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '_':
			table[c] = b
		}
	}
	return table
}()

// jaccard is the share of common members of two sorted sets; of two empty sets
// it is 0.
func jaccard(a, b []uint64) float64 {
	common := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			common++
			i++
			j++
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	if common == 0 {
		return 0
	}
	return float64(common) / float64(len(a)+len(b)-common)
}
