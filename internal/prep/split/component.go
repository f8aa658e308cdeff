package split

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// component is a set of kept records that goes to one side.
type component struct {
	key        key    // the least content of its records: the same however they were met
	rank       uint64 // its place in the order of the seed
	start, end uint32 // of its records in division.order
	eval       bool
}

// division is the components in the order of the seed. It holds no pointers:
// there may be as many components as records.
type division struct {
	order []uint32 // the kept records by component
	list  []component
}

func (d *division) members(c *component) []uint32 { return d.order[c.start:c.end] }

// divide gathers the kept records by group.
func (x *index) divide() *division {
	x.groups.flatten()
	d := &division{}
	for id := range x.metas {
		if x.metas[id].kept() {
			d.order = append(d.order, uint32(id))
		}
	}
	root := func(id uint32) uint32 { return x.groups.parent[x.metas[id].node] }
	slices.SortFunc(d.order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(root(a), root(b)), cmp.Compare(a, b))
	})
	for start := 0; start < len(d.order); {
		end := start + 1
		for end < len(d.order) && root(d.order[end]) == root(d.order[start]) {
			end++
		}
		d.list = append(d.list, x.component(d.order, start, end))
		start = end
	}
	slices.SortFunc(d.list, func(a, b component) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), a.key.compare(b.key))
	})
	return d
}

func (x *index) component(order []uint32, start, end int) component {
	c := component{key: x.metas[order[start]].content, start: uint32(start), end: uint32(end)}
	for _, id := range order[start+1 : end] {
		if k := x.metas[id].content; k.less(c.key) {
			c.key = k
		}
	}
	var buf [24]byte
	binary.LittleEndian.PutUint64(buf[:], x.o.Seed)
	binary.LittleEndian.PutUint64(buf[8:], c.key.hi)
	binary.LittleEndian.PutUint64(buf[16:], c.key.lo)
	c.rank = xxhash.Sum64(buf[:])
	return c
}

// limit keeps at most n records: of each stratum its share, the first ones in
// the order of the components. Components that are left empty are removed.
func (x *index) limit(d *division, n int) {
	total := len(d.order)
	if n == 0 || total <= n {
		return
	}
	have := make([]int, len(x.strata))
	for _, id := range d.order {
		have[x.metas[id].stratum]++
	}
	quota := quotas(have, n, total)
	x.m.Dropped.Add(reasonSurplus, total-n)
	for i := range d.list {
		c := &d.list[i]
		left := slices.DeleteFunc(d.members(c), func(id uint32) bool {
			m := &x.metas[id]
			if quota[m.stratum] == 0 {
				m.state = stateSurplus
				return true
			}
			quota[m.stratum]--
			return false
		})
		c.end = c.start + uint32(len(left))
	}
	d.list = slices.DeleteFunc(d.list, func(c component) bool { return c.start == c.end })
}

// quotas divides n records among the strata as the total is divided, by the
// largest remainders; of equal ones, the first.
func quotas(have []int, n, total int) []int {
	quota := make([]int, len(have))
	order := make([]int, len(have))
	left := n
	for s, h := range have {
		order[s] = s
		quota[s] = h * n / total
		left -= quota[s]
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(have[b]*n%total, have[a]*n%total), cmp.Compare(a, b))
	})
	for _, s := range order[:left] {
		quota[s]++
	}
	return quota
}

// sortStrata numbers the strata by kind and path, so that the order of the
// inputs plays no part.
func (x *index) sortStrata() {
	order := make([]int, len(x.strata))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		p, q := x.strata[a], x.strata[b]
		return cmp.Or(cmp.Compare(p.kind, q.kind), cmp.Compare(x.m.Inputs[p.input].Path, x.m.Inputs[q.input].Path))
	})
	sorted, number := make([]stratum, len(order)), make([]uint32, len(order))
	for i, old := range order {
		sorted[i], number[old] = x.strata[old], uint32(i)
	}
	x.strata = sorted
	for i := range x.metas {
		x.metas[i].stratum = number[x.metas[i].stratum]
	}
}

// markEval notes the side of each record.
func (x *index) markEval(d *division) {
	for i := range d.list {
		if c := &d.list[i]; c.eval {
			for _, id := range d.members(c) {
				x.metas[id].flags |= flagEval
			}
		}
	}
}

// dropShowing leaves out trained records that show a file which is evaluated.
func (x *index) dropShowing(d *division) {
	if len(x.shown) == 0 {
		return
	}
	evaluated := map[uint32]bool{}
	for i := range d.list {
		if c := &d.list[i]; c.eval {
			evaluated[x.groups.find(x.metas[d.order[c.start]].node)] = true
		}
	}
	for id, nodes := range x.shown {
		m := &x.metas[id]
		if !m.kept() || m.is(flagEval) {
			continue
		}
		if slices.ContainsFunc(nodes, func(n uint32) bool { return evaluated[x.groups.find(n)] }) {
			m.state = stateShown
			x.m.Dropped.Add(reasonShown, 1)
		}
	}
}

// countGroups counts the components that have records left.
func (x *index) countGroups(d *division) (train, eval int) {
	for i := range d.list {
		c := &d.list[i]
		switch {
		case c.eval:
			eval++
		case slices.ContainsFunc(d.members(c), func(id uint32) bool { return x.metas[id].kept() }):
			train++
		}
	}
	return train, eval
}
