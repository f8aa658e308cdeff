package split

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Leak says how near the evaluated records come to the trained ones. Each
// evaluated record is looked up among the trained ones by its signature; the
// best matches are compared exactly.
type Leak struct {
	Checked   int     `json:"checked"`   // evaluated records with words
	Matched   int     `json:"matched"`   // of these, records that met a trained one
	Max       float64 `json:"max"`       // the largest Jaccard similarity found
	Eval      int     `json:"eval_line"` // the pair that has it: lines of the outputs, from 1
	Train     int     `json:"train_line"`
	Over      int     `json:"over"`      // evaluated records at --near or above
	Histogram [10]int `json:"histogram"` // evaluated records by similarity in tenths, 1.0 with the last
	Unchecked int64   `json:"unchecked"` // pairs in crowded buckets that were not looked at
}

// matches is how many trained records are compared exactly with one evaluated.
const matches = 3

// match is a trained record and how near the signatures say it is.
type match struct {
	id    uint32
	guess float64
}

// leakFinder gathers matches.
type leakFinder struct {
	x         *index
	rank      map[uint32]int // of evaluated records
	best      [][]match
	unchecked []int64
}

// leak looks for the nearest trained record of each evaluated one.
func (x *index) leak(ctx context.Context) (*Leak, error) {
	f := &leakFinder{x: x, rank: map[uint32]int{}, unchecked: make([]int64, x.o.Workers)}
	var evaluated []uint32
	for id := range x.metas {
		if m := &x.metas[id]; m.kept() && m.is(flagEval) && m.is(flagSigned) {
			f.rank[uint32(id)] = len(evaluated)
			evaluated = append(evaluated, uint32(id))
		}
	}
	f.best = make([][]match, len(evaluated))
	b := newBuckets(x)
	b.admit = func(_ uint32, m *meta) bool { return m.kept() }
	b.visit = f.bucket
	for band := range bands {
		if err := b.run(ctx, band); err != nil {
			return nil, err
		}
	}
	return f.report(ctx, b.lookups, evaluated)
}

// bucket notes the matches of the evaluated records in it.
func (f *leakFinder) bucket(l *lookup, worker int, bucket []banded) error {
	var train []uint32
	for _, e := range bucket {
		if !f.x.metas[e.id].is(flagEval) {
			train = append(train, e.id)
		}
	}
	if len(train) == 0 || len(train) == len(bucket) {
		return nil
	}
	for _, e := range bucket {
		if !f.x.metas[e.id].is(flagEval) {
			continue
		}
		if over := len(train) - crowd; over > 0 {
			f.unchecked[worker] += int64(over)
		}
		for _, t := range train[:min(crowd, len(train))] {
			guess, err := l.guess(e.id, t)
			if err != nil {
				return err
			}
			at := f.rank[e.id]
			f.best[at] = better(f.best[at], match{t, guess})
		}
	}
	return nil
}

// better adds a match to the best so far.
func better(best []match, m match) []match {
	if slices.Contains(best, m) {
		return best
	}
	if len(best) == matches && compareMatches(m, best[matches-1]) > 0 {
		return best
	}
	best = append(best, m)
	slices.SortFunc(best, compareMatches)
	return best[:min(len(best), matches)]
}

func compareMatches(a, b match) int {
	return cmp.Or(cmp.Compare(b.guess, a.guess), cmp.Compare(a.id, b.id))
}

// exactMatch is the nearest trained record of one evaluated.
type exactMatch struct {
	id   uint32
	near float64
}

// report compares the matches exactly.
func (f *leakFinder) report(ctx context.Context, lookups []*lookup, evaluated []uint32) (*Leak, error) {
	nearest := make([]exactMatch, len(evaluated))
	errs := make([]error, len(lookups))
	var all sync.WaitGroup
	for w, l := range lookups {
		all.Go(func() {
			for i := w; i < len(evaluated) && errs[w] == nil; i += len(lookups) {
				nearest[i], errs[w] = l.nearest(evaluated[i], f.best[i])
				l.forget()
				errs[w] = cmp.Or(errs[w], ctx.Err())
			}
		})
	}
	all.Wait()
	if err := cmp.Or(errs...); err != nil {
		return nil, err
	}
	return f.summary(nearest, evaluated), nil
}

func (l *lookup) nearest(id uint32, best []match) (e exactMatch, err error) {
	for _, m := range best {
		near, err := l.similarity(id, m.id)
		if err != nil {
			return e, err
		}
		if near > e.near {
			e = exactMatch{m.id, near}
		}
	}
	return e, nil
}

func (f *leakFinder) summary(nearest []exactMatch, evaluated []uint32) *Leak {
	out := &Leak{Checked: len(evaluated)}
	for _, n := range f.unchecked {
		out.Unchecked += n
	}
	worst := -1
	for i, e := range nearest {
		out.Histogram[min(9, int(e.near*10))]++
		if len(f.best[i]) > 0 {
			out.Matched++
		}
		if e.near >= f.x.o.Near {
			out.Over++
		}
		if e.near > out.Max {
			out.Max, worst = e.near, i
		}
	}
	if worst >= 0 {
		out.Eval, out.Train = f.x.lineOf(evaluated[worst]), f.x.lineOf(nearest[worst].id)
	}
	return out
}

// lineOf is the line of a kept record in its output, from 1.
func (x *index) lineOf(id uint32) int {
	line := 0
	side := x.metas[id].flags & flagEval
	for i := range x.metas[:id+1] {
		if m := &x.metas[i]; m.kept() && m.flags&flagEval == side {
			line++
		}
	}
	return line
}
