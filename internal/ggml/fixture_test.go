package ggml

import (
	"math"
	"math/rand/v2"
	"testing"
)

// fixture is a store and a backend for one case, with values drawn from a printed seed.
type fixture struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	store   *Store
	backend *Backend
	scratch *Tensor
}

const fixtureLength = 160 // longest sample of any case

func newFixture(t *testing.T, seed uint64, threads int) *fixture {
	t.Helper()
	store, err := NewStore(64)
	if err != nil {
		t.Fatal(err)
	}
	backend := testBackend(t, threads)
	t.Cleanup(func() { store.Close(); backend.Close() })
	f := newRandom(t, seed, store, backend)
	f.scratch = store.New("scratch", F32, ScratchBytes(fixtureLength)*int64(threads)/4)
	return f
}

func newRandom(t *testing.T, seed uint64, store *Store, backend *Backend) *fixture {
	return &fixture{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), store: store, backend: backend}
}

func (f *fixture) alloc() {
	f.t.Helper()
	if err := f.store.Alloc(f.backend); err != nil {
		f.t.Fatal(err)
	}
}

// normal fills x with values of standard deviation sd.
func (f *fixture) normal(x *Tensor, sd float64) []float32 {
	f.t.Helper()
	values := make([]float32, x.Elements())
	for i := range values {
		values[i] = float32(f.rng.NormFloat64() * sd)
	}
	f.set(x, values)
	return values
}

func (f *fixture) set(x *Tensor, values []float32) {
	f.t.Helper()
	if err := x.SetF32(0, values); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) get(x *Tensor) []float32 {
	f.t.Helper()
	values := make([]float32, x.Elements())
	if err := x.GetF32(0, values); err != nil {
		f.t.Fatal(err)
	}
	return values
}

func (f *fixture) ints(x *Tensor, values ...int32) {
	f.t.Helper()
	if err := x.SetI32(0, values); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) graph(fill func(*Graph)) *Graph {
	f.t.Helper()
	g, err := NewGraph(f.t.Name(), 32)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { g.Close() })
	fill(g)
	if err := g.Err(); err != nil {
		f.t.Fatal(err)
	}
	return g
}

func (f *fixture) run(g *Graph) {
	f.t.Helper()
	if err := f.backend.Compute(g); err != nil {
		f.t.Fatal(err)
	}
}

// checkVJP compares the gradient in dx, computed for the cotangent dy, with central differences of sum(dy * y) in x.
func (f *fixture) checkVJP(name string, forward *Graph, y, dy, x, dx *Tensor, tolerance float64) {
	f.t.Helper()
	got, cot, at := f.get(dx), f.get(dy), f.get(x)
	objective := func() float64 {
		f.run(forward)
		sum := 0.0
		for i, v := range f.get(y)[:len(cot)] {
			sum += float64(v) * float64(cot[i])
		}
		return sum
	}
	const h = 1e-2
	want := make([]float32, len(at))
	for i := range at {
		moved := append([]float32(nil), at...)
		moved[i] = at[i] + h
		f.set(x, moved)
		up := objective()
		moved[i] = at[i] - h
		f.set(x, moved)
		want[i] = float32((up - objective()) / (float64(at[i]+h) - float64(at[i]-h)))
	}
	f.set(x, at)
	f.near(name, got, want, tolerance)
}

// near fails when the difference is more than tolerance of the expected vector's length.
func (f *fixture) near(name string, got, want []float32, tolerance float64) {
	f.t.Helper()
	if len(got) != len(want) {
		f.t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	diff, norm := 0.0, 0.0
	for i := range got {
		d := float64(got[i]) - float64(want[i])
		diff, norm = diff+d*d, norm+float64(want[i])*float64(want[i])
	}
	if norm == 0 {
		f.t.Fatalf("%s: the expected vector is zero, the case proves nothing (seed %d)", name, f.seed)
	}
	if e := math.Sqrt(diff / norm); !(e <= tolerance) {
		f.t.Errorf("%s: relative error %.3g, at most %g allowed (seed %d)", name, e, tolerance, f.seed)
	}
}
