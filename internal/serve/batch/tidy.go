package batch

import "slices"

// What is in a slot beside sequences of the base and of adapters. A free slot that has been free for a while parts its
// neighbours; until then it counts as what will take it.
const (
	gap   = base - 1
	fresh = base - 2
)

const (
	// patience is how many decodes a free slot stays fresh: with many clients the next request takes it at once.
	patience = 4
	// passWorth is how many cached tokens one pass less is worth: that many are soon read again.
	passWorth = 512
)

// tidy moves sequences where those of an adapter do not lie side by side. libllama computes only adjacent slots in one pass
// over the weights: 32 sequences that alternate with those of another adapter take 32 passes. A move copies the cache of a
// slot, which is seldom more than the weights, so there are no more moves before a decode than passes to save.
func (s *Scheduler) tidy() {
	in := s.contents()
	excess := passes(in) - distinct(in)
	for range excess {
		from, to, ok := nextMove(in, func(free int) bool { return len(s.slots[free].tokens) <= passWorth*excess })
		if !ok {
			return
		}
		s.move(from, to)
		if in[from], in[to] = fresh, in[from]; passes(in) == distinct(in) {
			return
		}
	}
}

func (s *Scheduler) move(from, to int) {
	s.ctx.Move(int32(from), int32(to))
	s.slots[to] = s.slots[from]
	s.slots[to].seq.slot = to
	s.slots[from] = slot{adapter: base, freed: s.decodes}
	s.moves++
}

// contents tells the adapter of the sequence in each slot, gap or fresh.
func (s *Scheduler) contents() []int {
	in := make([]int, len(s.slots))
	for i, slot := range s.slots {
		switch {
		case slot.seq != nil:
			in[i] = slot.seq.adapter
		case s.decodes-slot.freed < patience:
			in[i] = fresh
		default:
			in[i] = gap
		}
	}
	return in
}

// passes counts those that one token of every sequence takes.
func passes(in []int) int {
	n, last := 0, gap
	for _, c := range in {
		if c == fresh {
			continue
		}
		if c != last && c != gap {
			n++
		}
		last = c
	}
	return n
}

// distinct counts the adapters at work, each of which takes one pass at best.
func distinct(in []int) int {
	seen := map[int]bool{}
	for _, c := range in {
		if c >= base {
			seen[c] = true
		}
	}
	return len(seen)
}

// nextMove leads towards the order of adapters from the first slot on. A sequence goes to a free slot that is its
// adapter's in that order; where the free ones are past its end, the first sequence out of place goes there, which frees a
// slot that is someone's. So every other move at least brings one into place for good.
func nextMove(in []int, mayLose func(free int) bool) (from, to int, ok bool) {
	want := inOrder(in)
	spare := -1
	for f, c := range in {
		if c >= base || !mayLose(f) {
			continue
		}
		if want[f] == gap {
			spare = f
			continue
		}
		for i := len(in) - 1; i >= 0; i-- {
			if in[i] == want[f] && want[i] != in[i] {
				return i, f, true
			}
		}
	}
	for i, c := range in {
		if c >= base && want[i] != gap && c != want[i] && spare >= 0 {
			return i, spare, true
		}
	}
	return 0, 0, false
}

// inOrder is in with its sequences ordered by adapter, and what is free at the end.
func inOrder(in []int) []int {
	want := make([]int, 0, len(in))
	for _, c := range in {
		if c >= base {
			want = append(want, c)
		}
	}
	slices.Sort(want)
	for len(want) < len(in) {
		want = append(want, gap)
	}
	return want
}
