package ggml

import (
	"fmt"
	"testing"
)

// TestPoolRunsListsBackToBack alternates long and short graphs on more threads than there are cores: a thread that wakes
// late from one list must not touch the next. Each node adds one, so a node run twice or left out shows in the sum.
func TestPoolRunsListsBackToBack(t *testing.T) {
	store, err := NewStore(4)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	backend, err := NewCPU(5)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	sum, one := store.New("sum", F32, 64, 5), store.New("one", F32, 64, 5)
	if err := store.Alloc(backend); err != nil {
		t.Fatal(err)
	}
	ones := make([]float32, 64*5)
	for i := range ones {
		ones[i] = 1
	}
	if err := one.SetF32(0, ones); err != nil {
		t.Fatal(err)
	}
	sum.Zero()
	var graphs []*Graph
	for _, nodes := range []int{1, 17, 2, 40} {
		g, err := NewGraph(fmt.Sprint(nodes), nodes)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		for range nodes {
			g.Add(sum, sum, one)
		}
		graphs = append(graphs, g)
	}
	const rounds = 50
	for range rounds {
		for _, g := range graphs {
			if err := backend.Compute(g); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := make([]float32, 64*5)
	if err := sum.GetF32(0, got); err != nil {
		t.Fatal(err)
	}
	for i, v := range got {
		if want := float32(rounds * (1 + 17 + 2 + 40)); v != want {
			t.Fatalf("element %d was added to %g times, want %g", i, v, want)
		}
	}
}

func TestThreadCountIsChecked(t *testing.T) {
	for _, n := range []int{0, -1, 513} {
		if b, err := NewCPU(n); err == nil {
			b.Close()
			t.Errorf("%d threads were accepted", n)
		}
	}
}
