package ggml

import "testing"

// Operations that are linear in what is differentiated are held to plain sums elsewhere; here they meet central
// differences too, so that a forward and a backward pass that are wrong together cannot agree.

func TestLinearVJP(t *testing.T) {
	f := newFixture(t, 100, 2)
	const in, out, n = 19, 13, 7
	w, x, y := f.store.New("w", F32, in, out), f.store.New("x", F32, in, n), f.store.New("y", F32, out, n)
	bias, dy := f.store.New("bias", F32, out), f.store.New("dy", F32, out, n)
	dx, dw, db := f.store.New("dx", F32, in, n), f.store.New("dw", F32, in, out), f.store.New("db", F32, out)
	f.alloc()
	for _, v := range []*Tensor{w, x, bias, dy} {
		f.normal(v, 1)
	}
	dw.Zero()
	db.Zero()
	forward := f.graph(func(g *Graph) { g.Linear(y, w, x, Bias(bias), 1.5, f.scratch) })
	f.run(f.graph(func(g *Graph) {
		g.LinearBack(dx, w, dy, false, 1.5, f.scratch)
		g.Outer(dw, dy, x, 1.5, f.scratch)
		g.BiasBack(db, dy)
	}))
	f.checkVJP("dx", forward, y, dy, x, dx, 1e-3)
	f.checkVJP("dw", forward, y, dy, w, dw, 1e-3)
	f.checkVJP("dbias", forward, y, dy, bias, db, 1e-3)
}

func TestRowsVJP(t *testing.T) {
	f := newFixture(t, 101, 2)
	const d, vocab, n, picks = 6, 9, 5, 3
	e, tokens, y := f.store.New("e", F32, d, vocab), f.store.New("tokens", I32, n), f.store.New("y", F32, d, n)
	dy, de := f.store.New("dy", F32, d, n), f.store.New("de", F32, d, vocab)
	idx, p := f.store.New("idx", I32, picks), f.store.New("p", F32, d, picks)
	dp, dx := f.store.New("dp", F32, d, picks), f.store.New("dx", F32, d, n)
	f.alloc()
	for _, v := range []*Tensor{e, y, dy, dp} {
		f.normal(v, 1)
	}
	f.ints(tokens, 2, 8, 2, 0, 2)
	f.ints(idx, 3, -1, 0)
	de.Zero()
	dx.Zero()
	f.run(f.graph(func(g *Graph) { g.EmbedBack(de, dy, tokens); g.Scatter(dx, dp, idx) }))
	f.checkVJP("gather", f.graph(func(g *Graph) { g.Gather(p, y, idx) }), p, dp, y, dx, 1e-3)
	f.checkVJP("embedding", f.graph(func(g *Graph) { g.Embed(y, e, tokens, f.scratch) }), y, dy, e, de, 1e-3)
}

func TestDropoutVJP(t *testing.T) {
	f := newFixture(t, 102, 2)
	const d, n = 11, 6
	x, y, seed := f.store.New("x", F32, d, n), f.store.New("y", F32, d, n), f.store.New("seed", I32, 2)
	dy, dx := f.store.New("dy", F32, d, n), f.store.New("dx", F32, d, n)
	f.alloc()
	f.normal(x, 1)
	f.normal(dy, 1)
	f.ints(seed, 4, 9)
	f.run(f.graph(func(g *Graph) { g.Dropout(dx, dy, seed, 3, 0.4, false) }))
	f.checkVJP("dropout", f.graph(func(g *Graph) { g.Dropout(y, x, seed, 3, 0.4, false) }), y, dy, x, dx, 1e-3)
}
