package split

import (
	"cmp"
	"math"
	"slices"
)

// balance is how many records of one kind, or of one kind and input, are
// wanted for evaluation and how many are taken.
type balance struct{ all, want, have float64 }

// gain is how much nearer n more records bring a balance to what is wanted.
func (b *balance) gain(n float64) float64 {
	return math.Abs(b.have-b.want) - math.Abs(b.have+n-b.want)
}

// divider chooses what is evaluated.
type divider struct {
	x      *index
	kinds  []balance
	strata []balance
	shares [][]portion // of each component
}

// portion is the records of a component in one stratum.
type portion struct {
	stratum uint32
	n       float64
}

// assign marks the components to evaluate: in their order, each that brings the
// evaluated shares of kinds and inputs nearer to frac. Of a kind with several
// components, one at least is evaluated and one is not; the names of kinds with
// a single one are returned.
func (x *index) assign(list []*component, frac float64) (single []string) {
	d := &divider{x: x, kinds: make([]balance, len(kinds)), strata: make([]balance, len(x.strata))}
	for _, c := range list {
		d.count(c)
	}
	for i := range d.kinds {
		d.kinds[i].want = frac * d.kinds[i].all
	}
	for i := range d.strata {
		d.strata[i].want = frac * d.strata[i].all
	}
	left := d.trained(list)
	for i, c := range list {
		if d.gain(i) > 0 && d.spares(i, left) {
			d.take(i, c, left)
		}
	}
	return d.ensure(list, left)
}

func (d *divider) count(c *component) {
	by := map[uint32]float64{}
	for _, id := range c.members {
		by[d.x.metas[id].stratum]++
	}
	var share []portion
	for s, n := range by {
		share = append(share, portion{s, n})
		d.strata[s].all += n
		d.kinds[d.x.strata[s].kind].all += n
	}
	// One order, so that sums round in one way.
	slices.SortFunc(share, func(a, b portion) int { return cmp.Compare(a.stratum, b.stratum) })
	d.shares = append(d.shares, share)
}

// kindsOf is the records of a component by kind.
func (d *divider) kindsOf(i int) (by [8]float64) {
	for _, p := range d.shares[i] {
		by[d.x.strata[p.stratum].kind] += p.n
	}
	return by
}

// gain adds up what evaluating a component does for each kind and stratum.
func (d *divider) gain(i int) float64 {
	sum := 0.0
	for _, p := range d.shares[i] {
		sum += d.strata[p.stratum].gain(p.n)
	}
	for k, n := range d.kindsOf(i) {
		if n > 0 {
			sum += d.kinds[k].gain(n)
		}
	}
	return sum
}

// trained counts, for each kind, the components that are not evaluated.
func (d *divider) trained(list []*component) []int {
	left := make([]int, len(kinds))
	for i := range list {
		for k, n := range d.kindsOf(i) {
			if n > 0 {
				left[k]++
			}
		}
	}
	return left
}

// spares tells whether each kind of a component is trained on without it.
func (d *divider) spares(i int, left []int) bool {
	for k, n := range d.kindsOf(i) {
		if n > 0 && left[k] < 2 {
			return false
		}
	}
	return true
}

func (d *divider) take(i int, c *component, left []int) {
	c.eval = true
	for _, p := range d.shares[i] {
		d.strata[p.stratum].have += p.n
	}
	for k, n := range d.kindsOf(i) {
		if n > 0 {
			d.kinds[k].have += n
			left[k]--
		}
	}
}

// ensure evaluates the smallest component of a kind of which none is.
func (d *divider) ensure(list []*component, left []int) (single []string) {
	for k := range kinds {
		if d.kinds[k].all == 0 || d.kinds[k].have > 0 {
			continue
		}
		var can []int
		for i, c := range list {
			if !c.eval && d.kindsOf(i)[k] > 0 && d.spares(i, left) {
				can = append(can, i)
			}
		}
		if len(can) == 0 {
			single = append(single, kinds[k].name)
			continue
		}
		i := slices.MinFunc(can, func(a, b int) int {
			return cmp.Or(cmp.Compare(len(list[a].members), len(list[b].members)), cmp.Compare(a, b))
		})
		d.take(i, list[i], left)
	}
	return single
}
