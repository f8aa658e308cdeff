package ggml

import (
	"math"
	"testing"
)

func TestLossVJP(t *testing.T) {
	f := newFixture(t, 60, 2)
	const v, c = 33, 4
	logits, logits0, out := f.store.New("logits", F32, v, c), f.store.New("at", F32, v, c), f.store.New("losses", F32, c)
	labels, scale := f.store.New("labels", I32, c), f.store.New("scale", F32, 1)
	f.alloc()
	at := f.normal(logits0, 3)
	f.ints(labels, 5, -1, 32, 0)
	f.set(scale, []float32{0.25})
	graph := f.graph(func(g *Graph) { g.Loss(logits, labels, scale, out, true, F32) })
	losses := func(x []float32) []float32 {
		f.set(logits, x)
		f.set(out, []float32{9, 9, 9, 9})
		f.run(graph)
		return f.get(out)
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
	f.near("dlogits", f.get(logits), want, 1e-3)
	if got[1] != 0 {
		t.Errorf("a masked position has loss %g", got[1])
	}
	for i, g := range f.get(logits)[v : 2*v] {
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
