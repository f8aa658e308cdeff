package ggml

import "fmt"

// linearCases: weights of several types are rounded to 16 bits as they are dequantised.
func linearCases() (all []opCase) {
	add := func(name string, build func(*side) func(*Graph)) { all = append(all, opCase{name: name, build: build}) }
	for _, k := range []struct {
		typ        Type
		in, out, n int64
	}{{F32, 1, 1, 1}, {F32, 37, 19, 5}, {Q4K, 256, 33, 1}, {Q8_0, 96, 48, 131}, {BF16, 64, 8, 40}} {
		shape := fmt.Sprintf("%s_%dx%dx%d", k.typ, k.in, k.out, k.n)
		work := k.in * k.out
		add("linear_residual_"+shape, func(s *side) func(*Graph) {
			w, x, r, y := s.weight("w", k.typ, k.in, k.out), s.matrix(reads, "x", k.in, k.n), s.wide(reads, "r", k.out, k.n, 0), s.wide(writes, "y", k.out, k.n, 2)
			scratch := s.work(work)
			return func(g *Graph) { g.Linear(y, w, x, Residual(r), 0.5, scratch) }
		})
		add("linear_bias_"+shape, func(s *side) func(*Graph) {
			w, x, b, y := s.weight("w", k.typ, k.in, k.out), s.matrix(reads, "x", k.in, k.n), s.vector(reads, "b", k.out), s.matrix(writes, "y", k.out, k.n)
			scratch := s.work(work)
			return func(g *Graph) { g.Linear(y, w, x, Bias(b), 1.5, scratch) }
		})
		add("linear_accumulate_"+shape, func(s *side) func(*Graph) {
			w, x, y := s.weight("w", k.typ, k.in, k.out), s.matrix(reads, "x", k.in, k.n), s.matrix(updates, "y", k.out, k.n)
			scratch := s.work(work)
			return func(g *Graph) { g.Linear(y, w, x, Accumulate(), 1, scratch) }
		})
		for _, accumulate := range []bool{false, true} {
			add(fmt.Sprintf("linear_back_%s_%v", shape, accumulate), func(s *side) func(*Graph) {
				r := writes
				if accumulate {
					r = updates
				}
				w, dy, dx := s.weight("w", k.typ, k.in, k.out), s.matrix(reads, "dy", k.out, k.n), s.matrix(r, "dx", k.in, k.n)
				scratch := s.work(work)
				return func(g *Graph) { g.LinearBack(dx, w, dy, accumulate, 2, scratch) }
			})
		}
		add("outer_and_bias_back_"+shape, func(s *side) func(*Graph) {
			x, dy := s.matrix(reads, "x", k.in, k.n), s.matrix(reads, "dy", k.out, k.n)
			dw, db := s.flat(updates, "dw", false, k.in, k.out, 0), s.vector(updates, "db", k.out)
			scratch := s.work(1)
			return func(g *Graph) { g.Outer(dw, dy, x, 3, scratch); g.BiasBack(db, dy) }
		})
	}
	return all
}

// groupCases: the reference is made of linears, and so is the side under test where that is the CPU.
func groupCases() (all []opCase) {
	for _, k := range []struct {
		typ     Type
		widths  []int64
		adapted []bool
	}{
		{F32, []int64{40}, []bool{true}}, {Q4K, []int64{64, 9, 24}, []bool{true, true, true}}, {Q8_0, []int64{48, 48}, []bool{false, true}},
		{Q6K, []int64{33, 7}, []bool{false, false}}, {BF16, []int64{16, 8, 8}, []bool{true, false, true}},
	} {
		for _, n := range []int64{1, 37} {
			name := fmt.Sprintf("group_%s_%d_%d", k.typ, len(k.widths), n)
			all = append(all, opCase{name: name, aligned: true, build: func(s *side) func(*Graph) { return s.group(k.typ, 256, n, k.widths, k.adapted) }})
		}
	}
	return all
}

// group declares a group and builds its four operations, on the reference side from linears: u and v are compared where a
// device keeps them, behind the columns of x and dy.
func (s *side) group(typ Type, in, n int64, widths []int64, adapted []bool) func(*Graph) {
	const rank, scale = 5, 1.5
	p := Group{Adapted: adapted, Rank: rank, Scale: scale}
	for i, o := range widths {
		p.W = append(p.W, s.weight(fmt.Sprint("w", i), typ, in, o))
	}
	out, tail := p.Out(), p.Tail()
	flat := s.vector(reads, "adapters", max(1, p.size()))
	x, u := s.tail("x", "u", in, tail, n)
	dy, v := s.tail("dy", "v", out, tail, n)
	bias, y, dx := s.vector(reads, "bias", out), s.typed(writes, "y", true, out, n, 3), s.typed(updates, "dx", true, in, n, 3)
	scratch := s.work(in*out + tail*(in+out))
	if p.adapters() > 0 {
		p.Adapters = flat
	}
	if !s.backend.OnHost() {
		return func(g *Graph) {
			if tail > 0 {
				g.GroupU(u, nil, p, x, scratch)
				g.GroupV(v, p, dy, scratch)
			}
			g.Group(y, p, x, Bias(bias), scratch)
			g.GroupBack(dx, p, dy, true, false, scratch)
		}
	}
	return func(g *Graph) { s.separate(g, p, x, u, y, bias, dy, v, dx, scratch) }
}

// tail declares an input of d columns with room for tail more behind it.
func (s *side) tail(name, behind string, d, tail, n int64) (x, u *Tensor) {
	if tail == 0 {
		return s.matrix(reads, name, d, n), nil
	}
	both := s.matrix(updates, name+" and "+behind, d+tail, n)
	s.regions[len(s.regions)-1].parts = []int64{d, tail}
	part := func(name string, from, d int64) *Tensor {
		row := int64(both.ptr.nb[1])
		return s.store.strided(both, name, from, [3]int64{d, n, 1}, [2]int64{row, row * n})
	}
	return part(name, 0, d), part(behind, d, tail)
}

// separate is what a group computes, one linear after the other.
func (s *side) separate(g *Graph, p Group, x, u, y, bias, dy, v, dx, scratch *Tensor) {
	columns := func(t *Tensor, from, d int64) *Tensor { return s.store.Columns(t, "part", from, d) }
	a, b := s.takeApart(p)
	if u != nil {
		g.Zero(u)
		g.Zero(v)
	}
	adapter := int64(0)
	for i, at := 0, int64(0); i < len(p.W); i++ {
		w, o := p.W[i], p.W[i].Ne(1)
		yi, dyi := columns(y, at, o), columns(dy, at, o)
		g.Linear(yi, w, x, Bias(s.store.View(bias, "bias", at, o, 1)), 1, scratch)
		g.LinearBack(dx, w, dyi, true, 1, scratch)
		if at += o; !p.Adapted[i] {
			continue
		}
		ui, vi := columns(u, adapter*p.Rank, p.Rank), columns(v, adapter*p.Rank, p.Rank)
		g.Linear(ui, a[i], x, Zero(), 1, scratch)
		g.Linear(yi, b[i], ui, Accumulate(), p.Scale, scratch)
		g.LinearBack(vi, b[i], dyi, false, p.Scale, scratch)
		g.LinearBack(dx, a[i], vi, true, 1, scratch)
		adapter++
	}
}

// takeApart is every A and every B of the flat vector.
func (s *side) takeApart(p Group) (a, b []*Tensor) {
	a, b = make([]*Tensor, len(p.W)), make([]*Tensor, len(p.W))
	at := int64(0)
	for i := range p.W {
		if p.Adapted[i] {
			a[i] = s.store.View(p.Adapters, "a", at, p.In(), p.Rank)
			at += p.In() * p.Rank
		}
	}
	for i, w := range p.W {
		if p.Adapted[i] {
			b[i] = s.store.View(p.Adapters, "b", at, p.Rank, w.Ne(1))
			at += p.Rank * w.Ne(1)
		}
	}
	return a, b
}
