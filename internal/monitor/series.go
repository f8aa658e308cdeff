package monitor

import (
	"math"
	"sort"
)

// view says which part of a series is wanted, and how fine.
type view struct {
	axis     Axis
	from, to float64 // of x; infinite for all
	buckets  int     // at most two points of each are kept
	smooth   float64 // weight of the past, 0 for none, below 1
}

// point is one figure of a series; smooth is NaN where nothing is smoothed.
type point struct {
	x         float64
	y, smooth float32
}

// noisy are the metrics that smoothing is for. An average of the others would
// show what never was: they are exact, or few.
var noisy = [metricCount]bool{Loss: true, GradNorm: true, TokensPerSecond: true, GPUUtilisation: true, GPUPower: true}

// series returns the figures of m within v, and the nearest on either side, so
// that a line can be drawn to the edges. Where there are more than two in a
// bucket, the lowest and the highest stay: no spike is lost.
func (t *table) series(m Metric, v view) []point {
	column := t.columns[m]
	if column == nil {
		return nil
	}
	x, origin := t.x(v.axis)[:len(column)], t.origin(v.axis)
	first := sort.SearchFloat64s(x, v.from+origin)
	last := sort.Search(len(x), func(i int) bool { return x[i] > v.to+origin })
	first, last = previous(column, first), next(column, last)
	weight := 0.0
	if noisy[m] {
		weight = v.smooth
	}
	average := newAverage(weight)
	for _, y := range column[:first] {
		average.add(y)
	}
	all := make([]point, 0, min(last-first, 4*v.buckets))
	reduce := newReducer(v, x[first:last], origin)
	for i := first; i < last; i++ {
		if y := column[i]; y == y {
			all = reduce.add(all, point{x[i] - origin, y, average.add(y)})
		}
	}
	return reduce.end(all)
}

// previous is the index of the figure before i, or i where there is none.
func previous(column []float32, i int) int {
	for j := i - 1; j >= 0; j-- {
		if column[j] == column[j] {
			return j
		}
	}
	return i
}

// next is one past the index of the first figure from i on, or i.
func next(column []float32, i int) int {
	for j := i; j < len(column); j++ {
		if column[j] == column[j] {
			return j + 1
		}
	}
	return i
}

// average is an exponential moving average that starts unbiased: the first
// figures do not lean towards 0.
type average struct{ weight, sum, norm float64 }

func newAverage(weight float64) *average { return &average{weight: weight} }

func (a *average) add(y float32) float32 {
	if a.weight == 0 || y != y {
		return nan32
	}
	a.sum = a.weight*a.sum + (1-a.weight)*float64(y)
	a.norm = a.weight*a.norm + (1 - a.weight)
	return float32(a.sum / a.norm)
}

// reducer keeps the lowest and the highest point of each bucket, in the order
// in which they came, and the first and the last of all.
type reducer struct {
	start, width float64 // of the buckets, in x
	every        bool    // there are so few that all stay

	seen              int // points so far
	bucket            float64
	low, high, latest numbered // of the bucket; latest.n is 0 when it is empty
}

// numbered is a point and which one it was, counted from 1.
type numbered struct {
	point
	n int
}

func newReducer(v view, x []float64, origin float64) *reducer {
	r := &reducer{every: len(x) <= 2*v.buckets}
	if len(x) > 0 {
		r.start = max(v.from, x[0]-origin)
		r.width = (min(v.to, x[len(x)-1]-origin) - r.start) / float64(v.buckets)
	}
	return r
}

func (r *reducer) add(all []point, p point) []point {
	r.seen++
	if r.every || r.seen == 1 {
		return append(all, p)
	}
	bucket := 0.0
	if r.width > 0 {
		bucket = math.Floor((p.x - r.start) / r.width)
	}
	if bucket != r.bucket {
		all = r.flush(all)
	}
	now := numbered{p, r.seen}
	if r.latest.n == 0 {
		r.bucket, r.low, r.high = bucket, now, now
	}
	if p.y < r.low.y {
		r.low = now
	}
	if p.y > r.high.y {
		r.high = now
	}
	r.latest = now
	return all
}

// flush appends what stays of the bucket and empties it.
func (r *reducer) flush(all []point) []point {
	if r.latest.n == 0 {
		return all
	}
	r.latest.n = 0
	switch {
	case r.low.n == r.high.n:
		return append(all, r.low.point)
	case r.low.n < r.high.n:
		return append(all, r.low.point, r.high.point)
	}
	return append(all, r.high.point, r.low.point)
}

func (r *reducer) end(all []point) []point {
	latest := r.latest
	all = r.flush(all)
	if latest.n > max(r.low.n, r.high.n) {
		all = append(all, latest.point)
	}
	return all
}
