package split

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// component is a set of kept records that goes to one side.
type component struct {
	key     key      // the least content of its records: the same however they were met
	members []uint32 // its part of one shared list, in the order of the inputs
	eval    bool
}

// components gathers the kept records by group, ordered by key.
func (x *index) components() []*component {
	x.groups.flatten()
	var order []uint32
	for id := range x.metas {
		if x.metas[id].kept() {
			order = append(order, uint32(id))
		}
	}
	root := func(id uint32) uint32 { return x.groups.parent[x.metas[id].node] }
	slices.SortFunc(order, func(a, b uint32) int {
		return cmp.Or(cmp.Compare(root(a), root(b)), cmp.Compare(a, b))
	})
	var all []*component
	for start := 0; start < len(order); {
		end := start + 1
		for end < len(order) && root(order[end]) == root(order[start]) {
			end++
		}
		all = append(all, x.component(order[start:end]))
		start = end
	}
	slices.SortFunc(all, func(a, b *component) int { return direction(a != b && a.key.less(b.key)) })
	return all
}

func (x *index) component(members []uint32) *component {
	c := &component{key: x.metas[members[0]].content, members: members}
	for _, id := range members[1:] {
		if k := x.metas[id].content; k.less(c.key) {
			c.key = k
		}
	}
	return c
}

// shuffle orders components by a hash of seed and key.
func shuffle(list []*component, seed uint64) {
	rank := make(map[*component]uint64, len(list))
	for _, c := range list {
		var buf [24]byte
		binary.LittleEndian.PutUint64(buf[:], seed)
		binary.LittleEndian.PutUint64(buf[8:], c.key.hi)
		binary.LittleEndian.PutUint64(buf[16:], c.key.lo)
		rank[c] = xxhash.Sum64(buf[:])
	}
	slices.SortStableFunc(list, func(a, b *component) int { return cmp.Compare(rank[a], rank[b]) })
}

// limit keeps at most n records: of each stratum its share, the first ones in
// the order of the components. Components that are left empty are removed.
func (x *index) limit(list []*component, n int) []*component {
	total := 0
	have := make([]int, len(x.strata))
	for _, c := range list {
		total += len(c.members)
		for _, id := range c.members {
			have[x.metas[id].stratum]++
		}
	}
	if n == 0 || total <= n {
		return list
	}
	quota := quotas(have, n, total)
	x.m.Dropped.Add(reasonSurplus, total-n)
	var left []*component
	for _, c := range list {
		c.members = slices.DeleteFunc(c.members, func(id uint32) bool {
			m := &x.metas[id]
			if quota[m.stratum] == 0 {
				m.state = stateSurplus
				return true
			}
			quota[m.stratum]--
			return false
		})
		if len(c.members) > 0 {
			left = append(left, c)
		}
	}
	return left
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
func (x *index) markEval(list []*component) {
	for _, c := range list {
		if !c.eval {
			continue
		}
		for _, id := range c.members {
			x.metas[id].flags |= flagEval
		}
	}
}

// dropShowing leaves out trained records that show a file which is evaluated.
func (x *index) dropShowing(list []*component) {
	evaluated := map[uint32]bool{}
	for _, c := range list {
		if c.eval {
			evaluated[x.groups.find(x.metas[c.members[0]].node)] = true
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
func (x *index) countGroups(list []*component) (train, eval int) {
	for _, c := range list {
		switch {
		case c.eval:
			eval++
		case slices.ContainsFunc(c.members, func(id uint32) bool { return x.metas[id].kept() }):
			train++
		}
	}
	return train, eval
}
