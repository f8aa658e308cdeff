package split

// forest divides nodes into disjoint sets. The root of a set is its smallest
// node, whatever the order of unions.
type forest struct{ parent []uint32 }

// add makes a new node, a set of its own.
func (f *forest) add() uint32 {
	n := uint32(len(f.parent))
	f.parent = append(f.parent, n)
	return n
}

func (f *forest) find(n uint32) uint32 {
	for f.parent[n] != n {
		f.parent[n] = f.parent[f.parent[n]]
		n = f.parent[n]
	}
	return n
}

func (f *forest) union(a, b uint32) {
	a, b = f.find(a), f.find(b)
	switch {
	case a < b:
		f.parent[b] = a
	case b < a:
		f.parent[a] = b
	}
}

// flatten makes every node point at its root, so that parent can be read by
// several goroutines.
func (f *forest) flatten() {
	for n := range f.parent {
		f.parent[n] = f.parent[f.parent[n]] // parents are smaller: they are flat already
	}
}
