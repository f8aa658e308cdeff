package dataset

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// PackOptions is the shape of a micro-batch and the way samples fill it.
type PackOptions struct {
	Rows, Length int
	// Pack puts several samples in a row; without it each row is one sample
	// and padding.
	Pack bool
	// Seed and the epoch fix the order of samples and the subsets that
	// fractional weights draw.
	Seed uint64
	// Shuffle draws a new order each epoch; without it samples keep file order
	// as far as packing allows.
	Shuffle bool
}

// packWindow is how many samples are packed at a time. It bounds how far
// sorting by length can move a sample from its place in the shuffled order.
const packWindow = 1024

// Plan is the layout of one epoch.
type Plan struct {
	set     *Set
	options PackOptions
	rows    [][]int // sample indices of each row, left to right
	err     error
}

// Plan lays out one epoch of s, counted from 0. It is a pure function of the
// set, the epoch and the options. A sample longer than a row does not fit
// anywhere and makes Plan.Err non-nil; Load never yields one when its
// MaxLength is at most o.Length.
func (s *Set) Plan(epoch int, o PackOptions) *Plan {
	p := &Plan{set: s, options: o}
	if o.Rows <= 0 || o.Length <= 0 {
		p.err = fmt.Errorf("micro-batch of %d rows of %d tokens: both must be positive", o.Rows, o.Length)
		return p
	}
	for i := range s.Samples {
		if n := len(s.Samples[i].Tokens); n > o.Length {
			p.err = fmt.Errorf("sample %s has %d tokens, a row holds %d", s.Samples[i].Where(), n, o.Length)
			return p
		}
	}
	order := s.draw(epoch, o)
	if !o.Pack {
		for _, i := range order {
			p.rows = append(p.rows, []int{i})
		}
		return p
	}
	for window := range slices.Chunk(order, packWindow) {
		p.rows = append(p.rows, s.packWindow(window, o.Length)...)
	}
	if o.Shuffle {
		shuffle(newRand(o.Seed, epoch, streamRows), p.rows)
	}
	return p
}

// Err says why the epoch cannot be laid out. A plan with an error is empty.
func (p *Plan) Err() error { return p.err }

// Len is the number of micro-batches of the epoch.
func (p *Plan) Len() int {
	if p.err != nil {
		return 0
	}
	return (len(p.rows) + p.options.Rows - 1) / p.options.Rows
}

// Batch builds micro-batch i, 0 <= i < Len(). Rows beyond the last one of the
// epoch are padding.
func (p *Plan) Batch(i int) *Batch {
	o := p.options
	b := newBatch(o.Rows, o.Length)
	first := i * o.Rows
	for r := 0; r < o.Rows && first+r < len(p.rows); r++ {
		at := r * o.Length
		for _, k := range p.rows[first+r] {
			s := &p.set.Samples[k]
			b.place(at, s)
			at += len(s.Tokens)
		}
	}
	return b
}

// Fill is the share of the epoch's positions that hold a real token.
func (p *Plan) Fill() float64 {
	if p.Len() == 0 {
		return 0
	}
	used := 0
	for _, row := range p.rows {
		for _, k := range row {
			used += len(p.set.Samples[k].Tokens)
		}
	}
	return float64(used) / float64(p.Len()*p.options.Rows*p.options.Length)
}

// draw is the order in which the epoch visits samples, each as often as its
// source's weight says.
func (s *Set) draw(epoch int, o PackOptions) []int {
	members := make([][]int, len(s.Sources)+1) // the last one: no known source
	for i := range s.Samples {
		k := s.Samples[i].Source
		if k < 0 || k >= len(s.Sources) {
			k = len(s.Sources)
		}
		members[k] = append(members[k], i)
	}
	var order []int
	for k, group := range members {
		weight := 1.0
		if k < len(s.Sources) {
			weight = s.Sources[k].Weight
		}
		order = append(order, drawGroup(group, weight, epoch, newRand(o.Seed, epoch, streamSource+uint64(k)))...)
	}
	slices.Sort(order)
	if o.Shuffle {
		shuffle(newRand(o.Seed, epoch, streamOrder), order)
	}
	return order
}

// drawGroup repeats group by the whole part of weight and adds a random subset
// for its fraction. The size of the subset follows the running total over
// epochs, so that a fraction of few samples is exact in the long run and the
// first epoch is never empty.
func drawGroup(group []int, weight float64, epoch int, r *rand.Rand) []int {
	var out []int
	whole := math.Floor(weight)
	for range int(whole) {
		out = append(out, group...)
	}
	perEpoch := (weight - whole) * float64(len(group))
	extra := ceil(perEpoch*float64(epoch+1)) - ceil(perEpoch*float64(epoch))
	if extra == 0 {
		return out
	}
	drawn := slices.Clone(group)
	shuffle(r, drawn)
	return append(out, drawn[:min(extra, len(drawn))]...)
}

// ceil rounds up, forgiving the last bits of a product of decimal fractions.
func ceil(x float64) int { return int(math.Ceil(x - 1e-6)) }

// bin is a row being filled.
type bin struct {
	free  int
	id    int   // order of opening, which breaks ties
	slots []int // positions in the window
}

// packWindow fills rows by best-fit decreasing: longest sample first, each
// into the row with the least room that still holds it. Rows come out in the
// order of their first sample, and samples in a row keep the window's order.
func (s *Set) packWindow(window []int, length int) [][]int {
	size := func(slot int) int { return len(s.Samples[window[slot]].Tokens) }
	slots := make([]int, len(window))
	for i := range slots {
		slots[i] = i
	}
	slices.SortStableFunc(slots, func(a, b int) int { return cmp.Compare(size(b), size(a)) })

	var bins []bin // ascending by free room, then id
	for _, slot := range slots {
		at, _ := slices.BinarySearchFunc(bins, bin{free: size(slot), id: -1}, compareBins)
		b := bin{free: length, id: len(bins)}
		if at < len(bins) {
			b = bins[at]
			bins = slices.Delete(bins, at, at+1)
		}
		b.free -= size(slot)
		b.slots = append(b.slots, slot)
		to, _ := slices.BinarySearchFunc(bins, b, compareBins)
		bins = slices.Insert(bins, to, b)
	}
	return binRows(bins, window)
}

func compareBins(a, b bin) int {
	return cmp.Or(cmp.Compare(a.free, b.free), cmp.Compare(a.id, b.id))
}

func binRows(bins []bin, window []int) [][]int {
	for _, b := range bins {
		slices.Sort(b.slots)
	}
	slices.SortFunc(bins, func(a, b bin) int { return cmp.Compare(a.slots[0], b.slots[0]) })
	rows := make([][]int, len(bins))
	for i, b := range bins {
		for _, slot := range b.slots {
			rows[i] = append(rows[i], window[slot])
		}
	}
	return rows
}

// Streams keep the random choices of an epoch independent of each other.
const (
	streamOrder  uint64 = 1
	streamRows   uint64 = 2
	streamSource uint64 = 16 // plus the index of the source
)

func newRand(seed uint64, epoch int, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, uint64(epoch)<<16|stream))
}

func shuffle[T any](r *rand.Rand, s []T) {
	r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
}
