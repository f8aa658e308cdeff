package split

import (
	"cmp"
	"context"
	"slices"
)

const (
	// slack is how far below the threshold an estimate may lie before the
	// exact comparison is spared: more than three of its deviations.
	slack = 0.15
	// crowd is how many kept records of one bucket a record is compared with.
	crowd = 1000
	// rounds bounds how often records are looked at again whose copy was left
	// out itself.
	rounds = 4
)

// choice is a record that gives way to another.
type choice struct{ id, by uint32 }

// nearFinder leaves out near duplicates. Every two records that are kept, of
// different units, that agree in a band, were compared.
type nearFinder struct {
	x       *index
	found   [][]choice // by worker, in the band at hand
	skipped []int64    // comparisons that were not made, by worker
	fresh   bool       // only what is fresh is compared
}

// dropNear leaves out near duplicates and returns the number of comparisons
// that crowded buckets were spared.
func (x *index) dropNear(ctx context.Context) (int64, error) {
	x.units.flatten()
	n := &nearFinder{x: x, found: make([][]choice, x.o.Workers), skipped: make([]int64, x.o.Workers)}
	b := newBuckets(x)
	b.admit = func(_ uint32, m *meta) bool { return m.kept() }
	b.visit = n.bucket
	for round := range rounds {
		n.fresh = round > 0
		for band := range bands {
			if err := b.run(ctx, band); err != nil {
				return 0, err
			}
			n.settle()
		}
		again, err := x.rescue(b.lookups[0], round == rounds-1)
		if err != nil {
			return 0, err
		}
		if again == 0 {
			break
		}
	}
	x.countNear()
	var skipped int64
	for _, s := range n.skipped {
		skipped += s
	}
	return skipped, nil
}

// bucket compares each record with those before it that are kept.
func (n *nearFinder) bucket(l *lookup, worker int, bucket []banded) error {
	if n.oneUnit(bucket) {
		return nil
	}
	slices.SortFunc(bucket, func(a, b banded) int { return n.x.prefer(a.id, b.id) })
	kept := make([]uint32, 0, len(bucket))
	for _, entry := range bucket {
		by, err := n.copyAmong(l, worker, entry.id, kept)
		if err != nil {
			return err
		}
		if by == none {
			kept = append(kept, entry.id)
		} else {
			n.found[worker] = append(n.found[worker], choice{entry.id, by})
		}
	}
	return nil
}

// oneUnit tells that nothing in a bucket is to be compared, as when all windows
// of a long file look alike.
func (n *nearFinder) oneUnit(bucket []banded) bool {
	unit := func(e banded) uint32 { return n.x.units.parent[n.x.metas[e.id].node] }
	return !slices.ContainsFunc(bucket, func(e banded) bool { return unit(e) != unit(bucket[0]) })
}

// none is no record.
const none = ^uint32(0)

// copyAmong returns the first of the kept records that id is a near duplicate
// of, or none.
func (n *nearFinder) copyAmong(l *lookup, worker int, id uint32, kept []uint32) (uint32, error) {
	x := n.x
	m := &x.metas[id]
	compared := 0
	for i, other := range kept {
		o := &x.metas[other]
		if x.units.parent[m.node] == x.units.parent[o.node] || n.fresh && m.state != stateFresh && o.state != stateFresh {
			continue
		}
		if compared++; compared > crowd {
			n.skipped[worker] += int64(len(kept) - i)
			return none, nil
		}
		near, err := l.near(id, other)
		if err != nil {
			return none, err
		}
		if near {
			return other, nil
		}
	}
	return none, nil
}

// near tells whether two records are near duplicates.
func (l *lookup) near(a, b uint32) (bool, error) {
	guess, err := l.guess(a, b)
	if err != nil || guess < l.x.o.Near-slack {
		return false, err
	}
	exact, err := l.similarity(a, b)
	return exact >= l.x.o.Near, err
}

// settle carries out what the workers found in a band, in one order.
func (n *nearFinder) settle() {
	var all []choice
	for worker, found := range n.found {
		all = append(all, found...)
		n.found[worker] = found[:0]
	}
	slices.SortFunc(all, func(a, b choice) int { return cmp.Compare(a.id, b.id) })
	for _, c := range all {
		m := &n.x.metas[c.id]
		m.state, m.by = stateNear, c.by
		n.x.relate(c.id, c.by)
	}
}

// rescue looks at records whose copy was left out later. One that is near the
// record that its copy gave way to stays out; any other is fresh again, unless
// this was the last round. It returns how many are.
func (x *index) rescue(l *lookup, last bool) (int, error) {
	var again []uint32
	for id := range x.metas {
		m := &x.metas[id]
		if m.state == stateFresh {
			m.state = stateKept
		}
		if m.state != stateNear || x.metas[m.by].kept() {
			continue
		}
		by := m.by
		for !x.metas[by].kept() {
			by = x.metas[by].by
		}
		near, err := l.near(uint32(id), by)
		switch {
		case err != nil:
			return 0, err
		case near:
			m.by = by
		case last:
			m.state = stateChained
		default:
			again = append(again, uint32(id))
		}
	}
	for _, id := range again {
		x.metas[id].state = stateFresh
	}
	return len(again), nil
}

// countNear counts what was left out.
func (x *index) countNear() {
	for i := range x.metas {
		switch x.metas[i].state {
		case stateNear:
			x.m.Dropped.Add(reasonNear, 1)
		case stateChained:
			x.m.Dropped.Add(reasonChained, 1)
		}
	}
}
