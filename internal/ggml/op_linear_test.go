package ggml

import (
	"fmt"
	"math"
	"testing"
)

// randomWeight declares a weight of type t with normal values and returns what it dequantises to.
func (f *fixture) randomWeight(name string, t Type, in, out int64) (*Tensor, func() []float32) {
	f.t.Helper()
	w := f.store.New(name, t, in, out)
	return w, func() []float32 {
		values := make([]float32, in*out)
		for i := range values {
			values[i] = float32(f.rng.NormFloat64())
		}
		raw := make([]byte, t.RowBytes(in)*out)
		if err := Quantize(t, values, int(in), nil, raw); err != nil {
			f.t.Fatal(err)
		}
		if err := w.SetBytes(raw); err != nil {
			f.t.Fatal(err)
		}
		if err := Dequantize(t, raw, values); err != nil {
			f.t.Fatal(err)
		}
		return values
	}
}

// product is the plain reference: y[t][o] = sum_i w(o,i) x[t][i], in float64.
func product(out, in, n int64, w func(o, i int64) float32, x []float32) []float32 {
	y := make([]float32, out*n)
	for t := range n {
		for o := range out {
			sum := 0.0
			for i := range in {
				sum += float64(w(o, i)) * float64(x[t*in+i])
			}
			y[t*out+o] = float32(sum)
		}
	}
	return y
}

func TestLinearAgainstReference(t *testing.T) {
	shapes := []struct{ in, out, n int64 }{{256, 1, 1}, {256, 33, 13}, {512, 70, 50}, {768, 256, 97}}
	for _, typ := range BaseTypes() {
		for i, s := range shapes {
			t.Run(fmt.Sprintf("%s_%dx%dx%d", typ, s.in, s.out, s.n), func(t *testing.T) {
				f := newFixture(t, uint64(i)+1, 2)
				w, fill := f.randomWeight("w", typ, s.in, s.out)
				x, y := f.store.New("x", F32, s.in, s.n), f.store.New("y", F32, s.out, s.n)
				dy, dx := f.store.New("dy", F32, s.out, s.n), f.store.New("dx", F32, s.in, s.n)
				r := f.store.New("r", F32, s.out, s.n)
				f.alloc()
				values := fill()
				xv, dyv, rv := f.normal(x, 1), f.normal(dy, 1), f.normal(r, 1)
				f.run(f.graph(func(g *Graph) {
					g.Linear(y, w, x, Residual(r), 0.5, f.scratch)
					g.LinearBack(dx, w, dy, false, 2, f.scratch)
				}))
				want := product(s.out, s.in, s.n, func(o, i int64) float32 { return 0.5 * values[o*s.in+i] }, xv)
				for i := range want {
					want[i] += rv[i]
				}
				f.near("linear", f.get(y), want, 2e-6)
				f.near("linear back", f.get(dx), product(s.in, s.out, s.n, func(i, o int64) float32 { return 2 * values[o*s.in+i] }, dyv), 2e-6)
			})
		}
	}
}

func TestLinearInits(t *testing.T) {
	f := newFixture(t, 3, 2)
	w, fill := f.randomWeight("w", F32, 40, 24)
	x, y := f.store.New("x", F32, 40, 7), f.store.New("y", F32, 24, 7)
	bias := f.store.New("bias", F32, 24)
	f.alloc()
	values, xv, bv := fill(), f.normal(x, 1), f.normal(bias, 1)
	f.run(f.graph(func(g *Graph) {
		g.Linear(y, w, x, Bias(bias), 1, f.scratch)
		g.Linear(y, w, x, Accumulate(), 1, f.scratch)
	}))
	want := product(24, 40, 7, func(o, i int64) float32 { return 2 * values[o*40+i] }, xv)
	for i := range want {
		want[i] += bv[i%24]
	}
	f.near("bias and accumulate", f.get(y), want, 1e-6)
}

func TestOuterAndBiasBack(t *testing.T) {
	for i, s := range []struct{ in, out, n int64 }{{1, 1, 1}, {16, 576, 130}, {576, 16, 130}, {33, 17, 300}} {
		f := newFixture(t, uint64(i)+1, 2)
		x, dy := f.store.New("x", F32, s.in, s.n), f.store.New("dy", F32, s.out, s.n)
		dw, db := f.store.New("dw", F32, s.in, s.out), f.store.New("db", F32, s.out)
		f.alloc()
		xv, dyv := f.normal(x, 1), f.normal(dy, 1)
		start, startBias := f.normal(dw, 1), f.normal(db, 1)
		f.run(f.graph(func(g *Graph) { g.Outer(dw, dy, x, 3, f.scratch); g.BiasBack(db, dy) }))
		for o := range s.out {
			for i := range s.in {
				sum := float64(start[o*s.in+i])
				for t := range s.n {
					sum += 3 * float64(dyv[t*s.out+o]) * float64(xv[t*s.in+i])
				}
				start[o*s.in+i] = float32(sum)
			}
			for t := range s.n {
				startBias[o] += dyv[t*s.out+o]
			}
		}
		f.near("outer", f.get(dw), start, 2e-6)
		f.near("bias back", f.get(db), startBias, 2e-6)
	}
}

// TestThreadsDoNotChangeBytes runs one product of each kind and attention with one to five threads.
func TestThreadsDoNotChangeBytes(t *testing.T) {
	var first []float32
	for threads := 1; threads <= 5; threads++ {
		f := newFixture(t, 90, threads)
		w, fill := f.randomWeight("w", Q4K, 256, 100)
		x, y := f.store.New("x", F32, 256, 70), f.store.New("y", F32, 100, 70)
		dx, dw := f.store.New("dx", F32, 256, 70), f.store.New("dw", F32, 256, 100)
		seg, out := f.store.New("segments", I32, 70), f.store.New("out", F32, 64*4, 70)
		grads, lse := f.store.New("grads", F32, 64*6, 70), f.store.New("lse", F32, 4, 70)
		kv := f.store.New("kv", F32, 64, 70)
		f.alloc()
		fill()
		f.normal(x, 1)
		f.normal(kv, 1)
		dw.Zero()
		f.ints(seg, segmentsOf(30, 40)...)
		shape := AttentionShape{HeadDim: 64, Heads: 4, KVHeads: 1, Scale: 0.1}
		f.run(f.graph(func(g *Graph) {
			g.Linear(y, w, x, Zero(), 1, f.scratch)
			g.LinearBack(dx, w, y, false, 1, f.scratch)
			g.Outer(dw, y, x, 1, f.scratch)
			g.Attention(out, lse, x, kv, kv, seg, shape, f.scratch)
			g.AttentionBack(grads, x, kv, kv, out, lse, dx, seg, shape, f.scratch)
		}))
		var all []float32
		for _, r := range []*Tensor{y, dx, dw, out, lse, grads} {
			all = append(all, f.get(r)...)
		}
		if first == nil {
			first = all
		}
		for i := range all {
			if math.Float32bits(all[i]) != math.Float32bits(first[i]) {
				t.Fatalf("%d threads: value %d is %g, one thread gave %g", threads, i, all[i], first[i])
			}
		}
	}
}

func TestShapesAreRefusedBeforeC(t *testing.T) {
	f := newFixture(t, 99, 1)
	w, x, y := f.store.New("w", F32, 8, 4), f.store.New("x", F32, 7, 2), f.store.New("y", F32, 4, 2)
	f.alloc()
	g, err := NewGraph("bad", 4)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	g.Linear(y, w, x, Zero(), 1, f.scratch)
	if g.Err() == nil || f.backend.Compute(g) == nil {
		t.Fatal("a product of [8, 4] with [7, 2] was accepted")
	}
}
