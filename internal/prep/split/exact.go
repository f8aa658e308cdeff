package split

import "slices"

// dropExact keeps one record of each content.
func (x *index) dropExact() {
	order := make([]uint32, len(x.metas))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		if c := x.metas[a].content.compare(x.metas[b].content); c != 0 {
			return c
		}
		return x.prefer(a, b)
	})
	for i := 1; i < len(order); i++ {
		if first := order[i-1]; x.metas[order[i]].content == x.metas[first].content {
			m := &x.metas[order[i]]
			m.state, m.by = stateCopy, first
			x.m.Dropped.Add(reasonDuplicate, 1)
			x.relate(order[i], first)
			order[i] = first
		}
	}
}
