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
	d      *division
	kinds  []balance
	strata []balance
	left   []int     // of each kind, components that are not evaluated
	share  []portion // of the component at hand, by stratum
	by     []float64 // the same by kind
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
func (x *index) assign(d *division, frac float64) (single []string) {
	v := &divider{x: x, d: d, kinds: make([]balance, len(kinds)), strata: make([]balance, len(x.strata)),
		left: make([]int, len(kinds)), by: make([]float64, len(kinds))}
	for i := range d.list {
		v.count(&d.list[i])
	}
	for i := range v.kinds {
		v.kinds[i].want = frac * v.kinds[i].all
	}
	for i := range v.strata {
		v.strata[i].want = frac * v.strata[i].all
	}
	for i := range d.list {
		v.look(&d.list[i])
		if v.gain() > 0 && v.spares() {
			v.take(&d.list[i])
		}
	}
	return v.ensure()
}

// look finds the shares of a component.
func (v *divider) look(c *component) {
	v.share = v.share[:0]
	clear(v.by)
	for _, id := range v.d.members(c) {
		s := v.x.metas[id].stratum
		v.by[v.x.strata[s].kind]++
		at, ok := slices.BinarySearchFunc(v.share, s, func(p portion, s uint32) int { return cmp.Compare(p.stratum, s) })
		if !ok {
			v.share = slices.Insert(v.share, at, portion{stratum: s})
		}
		v.share[at].n++
	}
}

func (v *divider) count(c *component) {
	v.look(c)
	for _, p := range v.share {
		v.strata[p.stratum].all += p.n
	}
	for k, n := range v.by {
		if n > 0 {
			v.kinds[k].all += n
			v.left[k]++
		}
	}
}

// gain adds up what evaluating the component does for each kind and stratum.
func (v *divider) gain() float64 {
	sum := 0.0
	for _, p := range v.share {
		sum += v.strata[p.stratum].gain(p.n)
	}
	for k, n := range v.by {
		if n > 0 {
			sum += v.kinds[k].gain(n)
		}
	}
	return sum
}

// spares tells whether each kind of the component is trained on without it.
func (v *divider) spares() bool {
	for k, n := range v.by {
		if n > 0 && v.left[k] < 2 {
			return false
		}
	}
	return true
}

func (v *divider) take(c *component) {
	c.eval = true
	for _, p := range v.share {
		v.strata[p.stratum].have += p.n
	}
	for k, n := range v.by {
		if n > 0 {
			v.kinds[k].have += n
			v.left[k]--
		}
	}
}

// ensure evaluates the smallest component of a kind of which none is.
func (v *divider) ensure() (single []string) {
	for k := range kinds {
		if v.kinds[k].all == 0 || v.kinds[k].have > 0 {
			continue
		}
		var smallest *component
		for i := range v.d.list {
			c := &v.d.list[i]
			v.look(c)
			if v.by[k] > 0 && !c.eval && v.spares() && (smallest == nil || c.end-c.start < smallest.end-smallest.start) {
				smallest = c
			}
		}
		if smallest == nil {
			single = append(single, kinds[k].name)
			continue
		}
		v.look(smallest)
		v.take(smallest)
	}
	return single
}
