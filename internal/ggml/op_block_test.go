package ggml

import (
	"fmt"
	"math"
	"testing"
)

func TestNormVJP(t *testing.T) {
	for i, s := range []struct{ d, n int64 }{{1, 1}, {7, 3}, {64, 5}} {
		f := newFixture(t, uint64(i)+10, 2)
		x, w, y := f.store.New("x", F32, s.d, s.n), f.store.New("w", F32, s.d), f.store.New("y", F32, s.d, s.n)
		dy, dx, dw := f.store.New("dy", F32, s.d, s.n), f.store.New("dx", F32, s.d, s.n), f.store.New("dw", F32, s.d)
		f.alloc()
		for _, v := range []*Tensor{x, w, dy} {
			f.normal(v, 1)
		}
		dw.Zero()
		const eps = 0.1 // large, so that its place in the formula is tested
		forward := f.graph(func(g *Graph) { g.Norm(y, x, w, eps) })
		f.run(f.graph(func(g *Graph) { g.NormBack(dx, dy, x, w, false, eps); g.NormBackWeight(dw, dy, x, eps, f.scratch) }))
		f.checkVJP("dx", forward, y, dy, x, dx, 1e-3)
		f.checkVJP("dw", forward, y, dy, w, dw, 1e-3)
		before := f.get(dx)
		f.run(f.graph(func(g *Graph) { g.NormBack(dx, dy, x, w, true, eps) }))
		for i := range before {
			before[i] *= 2
		}
		f.near("accumulated dx", f.get(dx), before, 1e-6)
	}
}

func TestRopeVJP(t *testing.T) {
	for _, neox := range []bool{false, true} {
		f := newFixture(t, 20, 2)
		const dh, dims, heads, n = 12, 8, 3, 5
		x, y := f.store.New("x", F32, dh*heads, n), f.store.New("y", F32, dh*heads, n)
		dy, dx := f.store.New("dy", F32, dh*heads, n), f.store.New("dx", F32, dh*heads, n)
		pos, freq, table := f.store.New("pos", I32, n), f.store.New("freq", F32, dims/2), f.store.New("table", F32, dims, n)
		f.alloc()
		f.normal(x, 1)
		f.normal(dy, 1)
		f.ints(pos, 0, 1, 2, 7, 300)
		f.set(freq, []float32{1, 0.3, 0.05, 0.01})
		f.run(f.graph(func(g *Graph) { g.RopeTable(table, pos, freq, 1.25) }))
		forward := f.graph(func(g *Graph) { g.Rope(y, x, table, dh, neox, false) })
		f.run(f.graph(func(g *Graph) { g.Rope(dx, dy, table, dh, neox, true) }))
		f.checkVJP(fmt.Sprintf("rope neox=%v", neox), forward, y, dy, x, dx, 1e-3)
		if got, want := f.get(table)[3*dims+1], float32(1.25*math.Cos(7*0.3)); math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("table at position 7, pair 1: %g, want %g", got, want)
		}
	}
}

// segmentsOf lays samples of the given lengths end to end.
func segmentsOf(lengths ...int) []int32 {
	var out []int32
	for _, n := range lengths {
		start := int32(len(out))
		for range n {
			out = append(out, start)
		}
	}
	return out
}

func TestAttentionVJP(t *testing.T) {
	cases := []struct {
		shape   AttentionShape
		lengths []int
	}{
		{AttentionShape{HeadDim: 4, Heads: 1, KVHeads: 1}, []int{1}},
		{AttentionShape{HeadDim: 8, Heads: 4, KVHeads: 2}, []int{3, 1, 5}},
		{AttentionShape{HeadDim: 4, Heads: 3, KVHeads: 1, Window: 3}, []int{9, 2}},
		{AttentionShape{HeadDim: 2, Heads: 2, KVHeads: 2}, []int{60, 1, 20}},
	}
	for i, c := range cases {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			f := newFixture(t, uint64(i)+30, 2)
			c.shape.Scale = 0.7
			segments := segmentsOf(c.lengths...)
			n := int64(len(segments))
			qd, kd := c.shape.HeadDim*c.shape.Heads, c.shape.HeadDim*c.shape.KVHeads
			q, k, v := f.store.New("q", F32, qd, n), f.store.New("k", F32, kd, n), f.store.New("v", F32, kd, n)
			out, lse, do := f.store.New("out", F32, qd, n), f.store.New("lse", F32, c.shape.Heads, n), f.store.New("do", F32, qd, n)
			grads, seg := f.store.New("grads", F32, qd+2*kd, n), f.store.New("segments", I32, n)
			dq, dk, dv := f.store.New("dq", F32, qd, n), f.store.New("dk", F32, kd, n), f.store.New("dv", F32, kd, n)
			columns := []*Tensor{f.store.Columns(grads, "dq", 0, qd), f.store.Columns(grads, "dk", qd, kd), f.store.Columns(grads, "dv", qd+kd, kd)}
			f.alloc()
			for _, x := range []*Tensor{q, k, v, do} {
				f.normal(x, 1)
			}
			f.ints(seg, segments...)
			forward := f.graph(func(g *Graph) { g.Attention(out, lse, q, k, v, seg, c.shape, f.scratch) })
			f.run(forward)
			f.near("forward", f.get(out), attentionReference(c.shape, segments, f.get(q), f.get(k), f.get(v)), 1e-5)
			f.run(f.graph(func(g *Graph) {
				g.AttentionBack(grads, q, k, v, out, lse, do, seg, c.shape, f.scratch)
				for i, d := range []*Tensor{dq, dk, dv} {
					g.Copy(d, columns[i])
				}
			}))
			f.checkVJPOrZero("dq", forward, out, do, q, dq, n > 1)
			f.checkVJPOrZero("dk", forward, out, do, k, dk, n > 1)
			f.checkVJP("dv", forward, out, do, v, dv, 1e-3)
		})
	}
}

// checkVJPOrZero expects no gradient at all where there is only one key to attend to.
func (f *fixture) checkVJPOrZero(name string, forward *Graph, y, dy, x, dx *Tensor, some bool) {
	f.t.Helper()
	if some {
		f.checkVJP(name, forward, y, dy, x, dx, 1e-3)
		return
	}
	for _, v := range f.get(dx) {
		if math.Abs(float64(v)) > 1e-6 {
			f.t.Errorf("%s: %g, want 0 (seed %d)", name, v, f.seed)
		}
	}
}

func attentionReference(s AttentionShape, segments []int32, q, k, v []float32) []float32 {
	n, d := len(segments), int(s.HeadDim)
	qd, kd := d*int(s.Heads), d*int(s.KVHeads)
	out := make([]float32, qd*n)
	for h := range int(s.Heads) {
		kv := h / int(s.Heads/s.KVHeads)
		for t := range n {
			lo := int(segments[t])
			if s.Window > 0 {
				lo = max(lo, t-int(s.Window)+1)
			}
			sum, weights := 0.0, make([]float64, t+1)
			for j := lo; j <= t; j++ {
				dot := 0.0
				for i := range d {
					dot += float64(q[t*qd+h*d+i]) * float64(k[j*kd+kv*d+i])
				}
				weights[j] = math.Exp(dot * float64(s.Scale))
				sum += weights[j]
			}
			for j := lo; j <= t; j++ {
				for i := range d {
					out[t*qd+h*d+i] += float32(weights[j] / sum * float64(v[j*kd+kv*d+i]))
				}
			}
		}
	}
	return out
}

func TestSwiGLUVJP(t *testing.T) {
	f := newFixture(t, 40, 2)
	const d, n = 9, 4
	gate, up, y := f.store.New("gate", F32, d, n), f.store.New("up", F32, d, n), f.store.New("y", F32, d, n)
	dy, both := f.store.New("dy", F32, d, n), f.store.New("both", F32, 2*d, n)
	dgate, dup := f.store.New("dgate", F32, d, n), f.store.New("dup", F32, d, n)
	left, right := f.store.Columns(both, "left", 0, d), f.store.Columns(both, "right", d, d)
	f.alloc()
	for _, x := range []*Tensor{gate, up, dy} {
		f.normal(x, 2)
	}
	forward := f.graph(func(g *Graph) { g.SwiGLU(y, gate, up) })
	f.run(f.graph(func(g *Graph) { g.SwiGLUBack(both, dy, gate, up); g.Copy(dgate, left); g.Copy(dup, right) }))
	f.checkVJP("dgate", forward, y, dy, gate, dgate, 1e-3)
	f.checkVJP("dup", forward, y, dy, up, dup, 1e-3)
}

func TestDropout(t *testing.T) {
	f := newFixture(t, 50, 2)
	const d, n, p = 300, 40, 0.25
	x, y, z, seed := f.store.New("x", F32, d, n), f.store.New("y", F32, d, n), f.store.New("z", F32, d, n), f.store.New("seed", I32, 2)
	f.alloc()
	ones := make([]float32, d*n)
	for i := range ones {
		ones[i] = 1
	}
	f.set(x, ones)
	f.set(z, ones)
	f.ints(seed, 7, -3)
	f.run(f.graph(func(g *Graph) { g.Dropout(y, x, seed, 5, p, false); g.Dropout(z, x, seed, 5, p, true) }))
	kept, first := 0, f.get(y)
	for i, v := range f.get(z) {
		if v != first[i]+1 {
			t.Fatalf("element %d: accumulated %g, want %g: the mask differs between two uses", i, v, first[i]+1)
		}
		if first[i] != 0 {
			kept++
		}
	}
	if share := float64(kept) / (d * n); math.Abs(share-0.75) > 0.02 {
		t.Errorf("kept %.3f of the elements, want 0.75", share)
	}
	f.run(f.graph(func(g *Graph) { g.Dropout(z, x, seed, 6, p, false) }))
	same := 0
	for i, v := range f.get(z) {
		if v == first[i] {
			same++
		}
	}
	if share := float64(same) / (d * n); share > 0.7 {
		t.Errorf("two streams agree on %.3f of the elements, independent masks agree on 0.625", share)
	}
}
