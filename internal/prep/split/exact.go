package split

import "slices"

// dropExact keeps one record of each content.
func (x *index) dropExact() {
	order := make([]uint32, len(x.metas))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		p, q := x.metas[a].content, x.metas[b].content
		if p != q {
			return direction(p.less(q))
		}
		return direction(a != b && x.before(a, b))
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

// direction is the result of a comparison of two different records.
func direction(before bool) int {
	if before {
		return -1
	}
	return 1
}
