package stats

import (
	"math"
	"math/bits"
	"sort"
)

// exactBelow is the length below which every length is counted by itself.
// Above it, lengths share buckets of 1/128 of their power of two.
const (
	exactBelow = 1 << 17
	subBits    = 7
)

// Lengths counts how often each length occurs. Lengths below 131072 are exact;
// a longer one is known to less than 0.8 %. It takes at most 1 MiB and a few
// kilobytes, whatever the number of samples. The zero value is ready.
type Lengths struct {
	exact    []int64 // by length
	coarse   map[int]int64
	count    int64
	sum      int64
	min, max int
}

// Add counts one sample of n tokens, n >= 0.
func (l *Lengths) Add(n int) {
	if l.count == 0 || n < l.min {
		l.min = n
	}
	l.max = max(l.max, n)
	l.count++
	l.sum += int64(n)
	l.add(n, 1)
}

func (l *Lengths) add(n int, times int64) {
	if n >= exactBelow {
		if l.coarse == nil {
			l.coarse = map[int]int64{}
		}
		l.coarse[coarseStart(n)] += times
		return
	}
	if n >= len(l.exact) {
		grown := make([]int64, min(exactBelow, 1<<bits.Len(uint(n|63))))
		copy(grown, l.exact)
		l.exact = grown
	}
	l.exact[n] += times
}

// coarseStart is the least length in the bucket of n.
func coarseStart(n int) int {
	shift := bits.Len(uint(n)) - 1 - subBits
	return n >> shift << shift
}

// Merge adds the counts of o.
func (l *Lengths) Merge(o *Lengths) {
	if o.count == 0 {
		return
	}
	if l.count == 0 || o.min < l.min {
		l.min = o.min
	}
	l.max = max(l.max, o.max)
	l.count += o.count
	l.sum += o.sum
	o.each(func(n int, times int64) { l.add(n, times) })
}

// each visits the lengths that occur, the shortest first.
func (l *Lengths) each(visit func(n int, times int64)) {
	for n, times := range l.exact {
		if times > 0 {
			visit(n, times)
		}
	}
	starts := make([]int, 0, len(l.coarse))
	for n := range l.coarse {
		starts = append(starts, n)
	}
	sort.Ints(starts)
	for _, n := range starts {
		visit(n, l.coarse[n])
	}
}

// Count is the number of samples.
func (l *Lengths) Count() int64 { return l.count }

// Mean is the mean length, 0 without samples.
func (l *Lengths) Mean() float64 {
	if l.count == 0 {
		return 0
	}
	return float64(l.sum) / float64(l.count)
}

// Percentile is the least length that at least p percent of the samples do not
// exceed, 0 < p <= 100: the nearest rank.
func (l *Lengths) Percentile(p float64) int {
	if p >= 100 {
		return l.max
	}
	rank := max(1, int64(math.Ceil(p/100*float64(l.count)-1e-9)))
	seen, at := int64(0), 0
	l.each(func(n int, times int64) {
		if seen < rank {
			at = n
		}
		seen += times
	})
	return min(max(at, l.min), l.max)
}

// AtMost is the number of samples of at most n tokens, and the tokens of the
// data that a context of n holds when what is longer is cut.
func (l *Lengths) AtMost(n int) (samples, tokens int64) {
	l.each(func(length int, times int64) {
		if length <= n {
			samples += times
		}
		tokens += times * int64(min(length, n))
	})
	return samples, tokens
}
