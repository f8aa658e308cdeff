package ggml

import "fmt"

func rowCases() (all []opCase) {
	for _, k := range []struct {
		typ   Type
		d     int64
		vocab int64
	}{{Q8_0, 96, 11}, {Q4K, 256, 40}, {F32, 7, 5}} {
		name := fmt.Sprintf("rows_%s_%d", k.typ, k.d)
		all = append(all, opCase{name: name, build: func(s *side) func(*Graph) {
			e, tokens := s.weight("e", k.typ, k.d, k.vocab), s.indices("tokens", 3, 0, 3, 4, 3, 2)
			x, y := s.wide(writes, "x", k.d, 6, 0), s.matrix(writes, "x in 16 bits", k.d, 6)
			dy, de := s.flat(reads, "dy", true, k.d, 6, 0), s.flat(updates, "de", false, k.d, k.vocab, 0)
			idx := s.indices("idx", 4, -1, 1)
			from, picked := s.flat(reads, "from", false, k.d, 6, 0), s.flat(writes, "picked", true, k.d, 3, 0)
			back, to := s.flat(reads, "back", true, k.d, 3, 0), s.flat(updates, "to", false, k.d, 6, 0)
			scratch := s.work(6 * k.d)
			return func(g *Graph) {
				g.Embed(x, e, tokens, scratch)
				g.Embed(y, e, tokens, scratch)
				g.EmbedBack(de, dy, tokens)
				g.Gather(picked, from, idx)
				g.Scatter(to, back, idx)
			}
		}})
	}
	return all
}

// lossCases write the gradient over the logits in the activations' type, packed at the start of each row; the copy takes it
// from there. What is left of the logits behind it is not compared.
func lossCases() (all []opCase) {
	for _, k := range []struct {
		vocab  int64
		labels []int32
	}{{33, []int32{5, -1, 32, 0}}, {1000, []int32{999}}, {5000, []int32{0, 1023, -1, 1024, 4999}}} {
		all = append(all, opCase{name: fmt.Sprintf("loss_%d_%d", k.vocab, len(k.labels)), build: func(s *side) func(*Graph) {
			c := int64(len(k.labels))
			first, logits, eval := s.flat(reads, "logits", false, k.vocab, c, 0), s.store.New("gradient", F32, k.vocab, c), s.store.New("undefined", F32, k.vocab, c)
			labels, scale := s.indices("labels", k.labels...), s.vector(reads, "scale", 1)
			losses, evalLosses, d := s.vector(writes, "losses", c), s.vector(writes, "losses without gradient", c), s.matrix(writes, "dlogits", k.vocab, c)
			narrow := s.store.Narrow(logits, "narrow", s.act)
			return func(g *Graph) {
				g.Copy(logits, first)
				g.Copy(eval, first)
				g.Loss(logits, labels, scale, losses, true, s.act)
				g.Copy(d, narrow)
				g.Loss(eval, labels, scale, evalLosses, false, s.act)
			}
		}})
	}
	return all
}

// optimiserCases end on, before and behind the borders of chunks.
func optimiserCases() (all []opCase) {
	for _, n := range []int64{1, 4095, 4096, 9001} {
		all = append(all, opCase{name: fmt.Sprintf("adamw_%d", n), build: func(s *side) func(*Graph) {
			grad, w, m, squares := s.vector(reads, "gradient", n), s.vector(updates, "w", n), s.vector(updates, "m", n), s.vector(reads, "squares", n)
			v, hyper, sums := s.store.New("v", F32, n), s.store.New("hyper", F32, 8), s.vector(writes, "sums", SumSquaresChunks(n))
			s.fills = append(s.fills, func() {
				s.set(hyper, []float32{0.1, 0.9, 0.99, 1e-3, 0.2, 0.19, 0.14, 0.5})
				positive := make([]float32, n)
				for i := range positive {
					positive[i] = float32(i%7) / 8
				}
				s.set(v, positive)
			})
			return func(g *Graph) { g.AdamW(w, grad, m, v, hyper); g.SumSquares(sums, squares) }
		}})
	}
	return all
}
