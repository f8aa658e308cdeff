package ggml

import "fmt"

func normCases() (all []opCase) {
	const eps = 0.1
	for _, k := range []struct{ d, n int64 }{{1, 1}, {7, 3}, {64, 5}, {576, 2}, {1030, 3}, {2048, 2}} {
		add := func(name string, build func(*side) func(*Graph)) {
			all = append(all, opCase{name: fmt.Sprintf("%s_%dx%d", name, k.d, k.n), build: build})
		}
		add("norm", func(s *side) func(*Graph) {
			x, w, y := s.wide(reads, "x", k.d, k.n, 0), s.vector(reads, "w", k.d), s.matrix(writes, "y", k.d, k.n)
			return func(g *Graph) { g.Norm(y, x, w, eps) }
		})
		add("norm_back", func(s *side) func(*Graph) {
			dy, x, w, dx := s.matrix(reads, "dy", k.d, k.n), s.wide(reads, "x", k.d, k.n, 0), s.vector(reads, "w", k.d), s.wide(updates, "dx", k.d, k.n, 0)
			return func(g *Graph) { g.NormBack(dx, dy, x, w, true, eps) }
		})
		add("norm_back_weight", func(s *side) func(*Graph) {
			dy, x, dw := s.matrix(reads, "dy", k.d, k.n), s.wide(reads, "x", k.d, k.n, 0), s.vector(updates, "dw", k.d)
			scratch := s.work(k.n)
			return func(g *Graph) { g.NormBackWeight(dw, dy, x, eps, scratch) }
		})
	}
	for _, k := range []struct{ d, heads, n int64 }{{16, 3, 5}, {128, 2, 3}, {10, 1, 1}} {
		shape := fmt.Sprintf("_%dx%dx%d", k.d, k.heads, k.n)
		all = append(all, opCase{name: "norm_heads" + shape, build: func(s *side) func(*Graph) {
			x, w, y := s.heads(reads, "x", k.d, k.heads, k.n), s.vector(reads, "w", k.d), s.heads(writes, "y", k.d, k.heads, k.n)
			return func(g *Graph) { g.Norm(y, x, w, eps) }
		}}, opCase{name: "norm_back_heads_in_place" + shape, build: func(s *side) func(*Graph) {
			d, x, w, dw := s.heads(updates, "d", k.d, k.heads, k.n), s.heads(reads, "x", k.d, k.heads, k.n), s.vector(reads, "w", k.d), s.vector(updates, "dw", k.d)
			scratch := s.work(k.heads * k.n)
			return func(g *Graph) { g.NormBackWeight(dw, d, x, eps, scratch); g.NormBack(d, d, x, w, false, eps) }
		}})
	}
	return all
}

func ropeCases() (all []opCase) {
	for _, k := range []struct {
		dh, dims, heads int64
		neox, inverse   bool
	}{{12, 8, 3, true, false}, {12, 8, 3, false, true}, {64, 64, 2, true, true}, {2, 2, 1, false, false}} {
		name := fmt.Sprintf("rope_%d_%d_neox=%v_inverse=%v", k.dh, k.dims, k.neox, k.inverse)
		all = append(all, opCase{name: name, build: func(s *side) func(*Graph) {
			positions := s.indices("positions", 0, 1, 2, 7, 300)
			frequencies, table := s.vector(reads, "frequencies", k.dims/2), s.flat(writes, "table", false, k.dims, 5, 0)
			x, y, z := s.matrix(reads, "x", k.dh*k.heads, 5), s.matrix(writes, "y", k.dh*k.heads, 5), s.matrix(updates, "z", k.dh*k.heads, 5)
			return func(g *Graph) {
				g.RopeTable(table, positions, frequencies, 1.25)
				g.Rope(y, x, table, k.dh, k.neox, k.inverse)
				g.Rope(z, z, table, k.dh, k.neox, k.inverse)
			}
		}})
	}
	return all
}

// attentionCases pack samples whose borders fall on and off those of tiles. Below and beside every matrix lie NaNs, which
// tiles that are loaded whole must not let in. Head sizes that are no multiple of 32 take another kernel.
func attentionCases() (all []opCase) {
	for _, k := range []struct {
		shape   AttentionShape
		lengths []int
	}{
		{AttentionShape{HeadDim: 64, Heads: 1, KVHeads: 1}, []int{1}},
		{AttentionShape{HeadDim: 64, Heads: 6, KVHeads: 2}, []int{130, 1, 61}},
		{AttentionShape{HeadDim: 32, Heads: 2, KVHeads: 1}, []int{64, 64, 3}},
		{AttentionShape{HeadDim: 96, Heads: 2, KVHeads: 2}, []int{33, 150}},
		{AttentionShape{HeadDim: 128, Heads: 4, KVHeads: 1}, []int{3, 1, 5, 100}},
		{AttentionShape{HeadDim: 128, Heads: 2, KVHeads: 2, Window: 17}, []int{9, 140}},
		{AttentionShape{HeadDim: 64, Heads: 2, KVHeads: 1, Window: 1}, []int{70}},
		{AttentionShape{HeadDim: 12, Heads: 3, KVHeads: 1}, []int{3, 40, 1}},
		{AttentionShape{HeadDim: 80, Heads: 2, KVHeads: 1, Window: 5}, []int{31, 2}},
	} {
		k.shape.Scale = 0.2
		segments := segmentsOf(k.lengths...)
		n, q, kv := int64(len(segments)), k.shape.HeadDim*k.shape.Heads, k.shape.HeadDim*k.shape.KVHeads
		name := fmt.Sprintf("attention_%d_%d_%d_window=%d_%v", k.shape.HeadDim, k.shape.Heads, k.shape.KVHeads, k.shape.Window, k.lengths)
		all = append(all, opCase{name: name, aligned: true, build: func(s *side) func(*Graph) {
			query, key, value, do := s.matrix(reads, "q", q, n), s.matrix(reads, "k", kv, n), s.matrix(reads, "v", kv, n), s.matrix(reads, "do", q, n)
			o, lse := s.matrix(writes, "o", q, n), s.flat(writes, "lse", false, k.shape.Heads, n, 0)
			d := s.typed(writes, "dq dk dv", true, q+2*kv, n, attentionRoundings)
			s.regions[len(s.regions)-1].parts = []int64{q, kv, kv}
			at, scratch := s.indices("segments", segments...), s.work(n*k.shape.Heads)
			return func(g *Graph) {
				g.Attention(o, lse, query, key, value, at, k.shape, scratch)
				g.AttentionBack(d, query, key, value, o, lse, do, at, k.shape, scratch)
			}
		}})
	}
	return all
}

// attentionRoundings are those of O, P and dS before the last products of the backward pass, where they do not average out.
const attentionRoundings = 9

func elementwiseCases() (all []opCase) {
	for _, k := range []struct{ d, n int64 }{{1, 1}, {37, 5}, {64, 3}, {1536, 2}} {
		add := func(name string, build func(*side) func(*Graph)) {
			all = append(all, opCase{name: fmt.Sprintf("%s_%dx%d", name, k.d, k.n), build: build})
		}
		add("swiglu", func(s *side) func(*Graph) {
			gate, up, y := s.matrix(reads, "gate", k.d, k.n), s.matrix(reads, "up", k.d, k.n), s.matrix(writes, "y", k.d, k.n)
			dy, both := s.matrix(reads, "dy", k.d, k.n), s.matrix(writes, "dgate dup", 2*k.d, k.n)
			s.regions[len(s.regions)-1].parts = []int64{k.d, k.d}
			return func(g *Graph) { g.SwiGLU(y, gate, up); g.SwiGLUBack(both, dy, gate, up) }
		})
		add("add_copy_zero", func(s *side) func(*Graph) {
			a, b, c := s.matrix(reads, "a", k.d, k.n), s.wide(reads, "b", k.d, k.n, 0), s.matrix(updates, "c", k.d, k.n)
			sum, narrow, same := s.wide(writes, "a + b", k.d, k.n, 0), s.matrix(writes, "narrow b", k.d, k.n), s.matrix(writes, "copy of a", k.d, k.n)
			wide, zero := s.wide(writes, "wide a", k.d, k.n, 0), s.matrix(writes, "zero", k.d, k.n)
			return func(g *Graph) {
				g.Add(sum, a, b)
				g.Add(c, c, a)
				g.Copy(narrow, b)
				g.Copy(same, a)
				g.Copy(wide, a)
				g.Zero(zero)
			}
		})
		add("dropout", func(s *side) func(*Graph) {
			x, y, seed := s.matrix(reads, "x", k.d, k.n), s.matrix(writes, "y", k.d, k.n), s.indices("seed", 7, -3)
			z, sum := s.matrix(updates, "z", k.d, k.n), s.wide(updates, "sum", k.d, k.n, 0)
			return func(g *Graph) {
				g.Dropout(y, x, seed, 5, 0.25, false)
				g.Dropout(z, x, seed, 6, 0.1, true)
				g.Dropout(sum, x, seed, 7, 0.5, true)
			}
		})
	}
	return all
}
