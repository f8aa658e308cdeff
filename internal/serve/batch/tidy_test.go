package batch

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func anyFree(int) bool { return true }

// TestMovesEndInOrder moves sequences of random layouts until each adapter takes one pass.
func TestMovesEndInOrder(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := make([]int, 2+r.IntN(63))
		for i := range in {
			in[i] = base + r.IntN(1+r.IntN(5))
		}
		for _, i := range r.Perm(len(in))[:1+r.IntN(len(in))] {
			in[i] = []int{gap, fresh}[r.IntN(2)]
		}
		before, moves := slices.Clone(in), 0
		for passes(in) > distinct(in) {
			from, to, ok := nextMove(in, anyFree)
			if !ok || in[from] < base || in[to] >= base {
				t.Fatalf("seed %d: move %d of %v: from %d to %d (%v) in %v", seed, moves, before, from, to, ok, in)
			}
			in[to], in[from] = in[from], fresh
			if moves++; 2*moves > 3*len(in) {
				t.Fatalf("seed %d: %d moves do not order %v: %v", seed, moves, before, in)
			}
		}
		slices.Sort(before)
		slices.Sort(in)
		if a, b := inOrder(before), inOrder(in); !slices.Equal(a, b) {
			t.Fatalf("seed %d: the moves made %v of %v", seed, b, a)
		}
	}
}

func TestPasses(t *testing.T) {
	for _, c := range []struct {
		in               []int
		passes, distinct int
	}{
		{[]int{base, base, base}, 1, 1},
		{[]int{0, 1, 0, 1}, 4, 2},
		{[]int{0, fresh, 0, 1}, 2, 2},
		{[]int{0, gap, 0, 1}, 3, 2},
		{[]int{gap, fresh, gap}, 0, 0},
	} {
		if p, d := passes(c.in), distinct(c.in); p != c.passes || d != c.distinct {
			t.Errorf("%v: %d passes of %d adapters, want %d of %d", c.in, p, d, c.passes, c.distinct)
		}
	}
}

func TestAMoveSparesLongCaches(t *testing.T) {
	in := []int{0, gap, gap, 0}
	if from, to, ok := nextMove(in, func(free int) bool { return free != 1 }); ok {
		t.Errorf("from %d to %d, which helps nobody", from, to)
	}
	if from, to, ok := nextMove(in, anyFree); !ok || from != 3 || to != 1 {
		t.Errorf("from %d to %d (%v), want 3 to 1", from, to, ok)
	}
}

func TestContents(t *testing.T) {
	s := &Scheduler{decodes: 8, slots: []slot{{seq: &sequence{adapter: 1}}, {freed: 8 - patience}, {freed: 9 - patience}, {seq: &sequence{adapter: base}}}}
	if got, want := s.contents(), []int{1, gap, fresh, base}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestASpareSlot is there where sequences of adapters can be out of order, and libllama has a number for it.
func TestASpareSlot(t *testing.T) {
	for _, c := range []struct{ slots, adapters, places int }{{4, 0, 4}, {1, 1, 1}, {2, 2, 2}, {3, 1, 4}, {255, 1, 256}, {256, 1, 256}} {
		if got := (Options{Slots: c.slots, Adapters: make([]Adapter, c.adapters)}).places(); got != c.places {
			t.Errorf("%+v: %d places", c, got)
		}
	}
}
