package ggml

import (
	"fmt"
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
	f := &fixture{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), store: store, backend: backend}
	f.scratch = store.New("scratch", F32, ScratchBytes(fixtureLength)*int64(threads)/4)
	return f
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
	g, err := NewGraph(f.t.Name(), 16)
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
			out, do := f.store.New("out", F32, (qd+c.shape.Heads)*n), f.store.New("do", F32, qd, n)
			grads, seg := f.store.New("grads", F32, (qd+2*kd)*n), f.store.New("segments", I32, n)
			dq, dk := f.store.View(grads, "dq", 0, qd, n), f.store.View(grads, "dk", qd*n, kd, n)
			dv := f.store.View(grads, "dv", (qd+kd)*n, kd, n)
			f.alloc()
			for _, x := range []*Tensor{q, k, v, do} {
				f.normal(x, 1)
			}
			f.ints(seg, segments...)
			forward := f.graph(func(g *Graph) { g.Attention(out, q, k, v, seg, c.shape, f.scratch) })
			f.run(forward)
			f.near("forward", f.get(out)[:qd*n], attentionReference(c.shape, segments, f.get(q), f.get(k), f.get(v)), 1e-5)
			f.run(f.graph(func(g *Graph) { g.AttentionBack(grads, q, k, v, out, do, seg, c.shape, f.scratch) }))
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
	dy, packed := f.store.New("dy", F32, d, n), f.store.New("packed", F32, 2*d*n)
	dgate, dup := f.store.View(packed, "dgate", 0, d, n), f.store.View(packed, "dup", d*n, d, n)
	f.alloc()
	for _, x := range []*Tensor{gate, up, dy} {
		f.normal(x, 2)
	}
	forward := f.graph(func(g *Graph) { g.SwiGLU(y, gate, up) })
	f.run(f.graph(func(g *Graph) { g.SwiGLUBack(packed, dy, gate, up) }))
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

func TestLossVJP(t *testing.T) {
	f := newFixture(t, 60, 2)
	const v, c = 33, 4
	packed, logits0 := f.store.New("packed", F32, v*c+c), f.store.New("at", F32, v, c)
	logits := f.store.View(packed, "logits", 0, v, c)
	labels, scale := f.store.New("labels", I32, c), f.store.New("scale", F32, 1)
	f.alloc()
	at := f.normal(logits0, 3)
	f.ints(labels, 5, -1, 32, 0)
	f.set(scale, []float32{0.25})
	graph := f.graph(func(g *Graph) { g.Loss(packed, logits, labels, scale, true, F32) })
	losses := func(x []float32) []float32 {
		f.set(packed, append(append([]float32(nil), x...), 9, 9, 9, 9))
		f.run(graph)
		return f.get(packed)[v*c:]
	}
	want := make([]float32, v*c)
	for i := range at {
		const h = 1e-2
		moved := append([]float32(nil), at...)
		moved[i] += h
		up := losses(moved)
		moved[i] -= 2 * h
		down := losses(moved)
		for j := range c {
			want[i] += 0.25 * (up[j] - down[j]) / (2 * h)
		}
	}
	got := losses(at)
	f.near("dlogits", f.get(packed)[:v*c], want, 1e-3)
	if got[1] != 0 {
		t.Errorf("a masked position has loss %g", got[1])
	}
	for i, g := range f.get(packed)[v : 2*v] {
		if g != 0 {
			t.Errorf("a masked position pushes logit %d by %g", i, g)
		}
	}
}

func TestRowOperations(t *testing.T) {
	f := newFixture(t, 70, 2)
	const d, vocab, n = 32, 11, 6
	e, fill := f.randomWeight("e", Q8_0, d, vocab)
	tokens, y := f.store.New("tokens", I32, n), f.store.New("y", F32, d, n)
	de, dy := f.store.New("de", F32, d, vocab), f.store.New("dy", F32, d, n)
	idx, picked := f.store.New("idx", I32, 3), f.store.New("picked", F32, d, 3)
	f.alloc()
	values, dyv := fill(), f.normal(dy, 1)
	list := []int32{3, 0, 3, 10, 3, 7}
	f.ints(tokens, list...)
	f.ints(idx, 4, -1, 1)
	de.Zero()
	f.run(f.graph(func(g *Graph) {
		g.Embed(y, e, tokens, f.scratch)
		g.EmbedBack(de, dy, tokens)
		g.Gather(picked, y, idx)
	}))
	want, wantDE := make([]float32, d*n), make([]float32, d*vocab)
	for t, token := range list {
		copy(want[t*d:(t+1)*d], values[int(token)*d:])
		for j := range d {
			wantDE[int(token)*d+j] += dyv[t*d+j]
		}
	}
	f.near("embed", f.get(y), want, 0)
	f.near("embed back", f.get(de), wantDE, 1e-6)
	f.near("gather", f.get(picked), append(append(append([]float32(nil), want[4*d:5*d]...), make([]float32, d)...), want[d:2*d]...), 0)
	f.run(f.graph(func(g *Graph) { g.Scatter(y, picked, idx) }))
	for j := range d {
		want[4*d+j] *= 2
		want[d+j] *= 2
	}
	f.near("scatter", f.get(y), want, 0)
}

func TestAdamWAgainstReference(t *testing.T) {
	f := newFixture(t, 80, 2)
	const n = 5000
	w, g := f.store.New("w", F32, n), f.store.New("g", F32, n)
	m, v, hyper := f.store.New("m", F32, n), f.store.New("v", F32, n), f.store.New("hyper", F32, 8)
	sums := f.store.New("sums", F32, SumSquaresChunks(n))
	f.alloc()
	wv, gv := f.normal(w, 1), f.normal(g, 1)
	m.Zero()
	v.Zero()
	const lr, b1, b2, eps, wd, clip = 0.1, 0.9, 0.99, 1e-3, 0.2, 0.5
	step := f.graph(func(g2 *Graph) { g2.AdamW(w, g, m, v, hyper); g2.SumSquares(sums, g) })
	ref := make([]float64, n)
	m1, m2 := make([]float64, n), make([]float64, n)
	for i := range ref {
		ref[i] = float64(wv[i])
	}
	for t := 1; t <= 3; t++ {
		c1, c2 := 1-math.Pow(b1, float64(t)), math.Sqrt(1-math.Pow(b2, float64(t)))
		f.set(hyper, []float32{lr, b1, b2, eps, wd, float32(c1), float32(c2), clip})
		f.run(step)
		for i := range ref {
			x := float64(gv[i]) * clip
			m1[i], m2[i] = b1*m1[i]+(1-b1)*x, b2*m2[i]+(1-b2)*x*x
			ref[i] = ref[i]*(1-lr*wd) - lr/c1*m1[i]/(math.Sqrt(m2[i])/c2+eps)
		}
	}
	want, squares, total := make([]float32, n), 0.0, 0.0
	for i := range ref {
		want[i] = float32(ref[i])
		squares += float64(gv[i]) * float64(gv[i])
	}
	f.near("weights after three steps", f.get(w), want, 1e-6)
	for _, s := range f.get(sums) {
		total += float64(s)
	}
	if math.Abs(total/squares-1) > 1e-6 {
		t.Errorf("sum of squares %g, want %g", total, squares)
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
		seg, out := f.store.New("segments", I32, 70), f.store.New("out", F32, 65*4*70)
		grads := f.store.New("grads", F32, 64*6*70)
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
			g.Attention(out, x, kv, kv, seg, shape, f.scratch)
			g.AttentionBack(grads, x, kv, kv, out, dx, seg, shape, f.scratch)
		}))
		var all []float32
		for _, r := range []*Tensor{y, dx, dw, out, grads} {
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
