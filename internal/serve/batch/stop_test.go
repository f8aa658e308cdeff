package batch

import (
	"slices"
	"testing"
)

func TestStopper(t *testing.T) {
	for _, c := range []struct {
		stops, pieces []string
		want          string
		stopped       bool
	}{
		{nil, []string{"a", "b"}, "ab", false},
		{[]string{"END"}, []string{"a", "E", "N", "D", "x"}, "a", true},
		{[]string{"END"}, []string{"aEN", "Eb"}, "aENEb", false},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, "a", true},
		{[]string{"xyz", "b"}, []string{"abxyz"}, "a", true},
		{[]string{"é"}, []string{"caf\xc3", "\xa9!"}, "caf", true},
		{[]string{"abc"}, []string{"ab"}, "ab", false},
	} {
		s := stopper{stops: c.stops}
		got, stopped := "", false
		for _, p := range c.pieces {
			var shown string
			shown, stopped = s.add(p)
			got += shown
			if stopped {
				break
			}
		}
		if got += s.rest(); got != c.want || stopped != c.stopped {
			t.Errorf("%q in %q: %q, %t", c.stops, c.pieces, got, stopped)
		}
	}
}

func TestLargest(t *testing.T) {
	x := []float32{1, 5, 3, 5, -2, 4}
	if got, want := largest(x, 4), []int32{1, 3, 5, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := largest(x, 100); len(got) != len(x) || got[5] != 4 {
		t.Errorf("all of them: %v", got)
	}
}
