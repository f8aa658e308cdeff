package stats

import "math"

// Bin is a range of lengths, From <= length < To, and its samples.
type Bin struct {
	From    int   `json:"from"`
	To      int   `json:"to"`
	Samples int64 `json:"samples"`
}

// wideRatio is how many times the shortest sample the longest must be for bins
// that grow with the length.
const wideRatio = 16

// Bins divides the range of lengths into at most limit bins whose edges are
// easy to read: of one width (1, 2 or 5 times a power of ten) where the lengths
// are alike, otherwise as many to each doubling. Together the bins hold every
// sample.
func (l *Lengths) Bins(limit int) []Bin {
	if l.count == 0 {
		return nil
	}
	edges := linearEdges(l.min, l.max, limit)
	if l.max >= wideRatio*max(1, l.min) && l.max >= 2*limit {
		edges = doublingEdges(l.min, l.max, limit)
	}
	bins := make([]Bin, len(edges)-1)
	for i := range bins {
		bins[i] = Bin{From: edges[i], To: edges[i+1]}
	}
	at := 0
	l.each(func(n int, times int64) {
		for n >= bins[at].To {
			at++
		}
		bins[at].Samples += times
	})
	return bins
}

// linearEdges cover low to high, both included, in at most limit steps.
func linearEdges(low, high, limit int) []int {
	for scale := 1; ; scale *= 10 {
		for _, m := range []int{1, 2, 5} {
			step := m * scale
			first, last := low/step, high/step
			if last-first+1 > limit {
				continue
			}
			edges := make([]int, 0, last-first+2)
			for k := first; k <= last+1; k++ {
				edges = append(edges, k*step)
			}
			return edges
		}
	}
}

// doublingEdges cover low to high with 4, 2 or 1 bins to a doubling, or with
// one to several doublings, whichever is the finest that keeps to the limit.
func doublingEdges(low, high, limit int) []int {
	for _, parts := range []int{4, 2, 1} {
		if edges := ladder(low, high, parts, 1); len(edges)-1 <= limit {
			return edges
		}
	}
	for octaves := 2; ; octaves++ {
		if edges := ladder(low, high, 1, octaves); len(edges)-1 <= limit || octaves > 32 {
			return edges
		}
	}
}

// ladder is the edges 2^(k*octaves) * (1 + i/parts) from the last one that does
// not exceed low to the first above high.
func ladder(low, high, parts, octaves int) []int {
	edges := []int{0}
	for base := 1; ; base <<= octaves {
		for i := range parts {
			edge := base + base*i/parts
			if edge <= edges[len(edges)-1] {
				continue
			}
			if edge <= low {
				edges[0] = edge
				continue
			}
			edges = append(edges, edge)
			if edge > high {
				return edges
			}
		}
		if base > math.MaxInt>>(octaves+1) {
			return append(edges, math.MaxInt)
		}
	}
}
