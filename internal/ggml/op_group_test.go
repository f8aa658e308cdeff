package ggml

import (
	"fmt"
	"testing"
)

// groupCase is a group with sources and results around it, and everything as plain numbers.
type groupCase struct {
	*fixture
	p               Group
	x, y, dx, dy    *Tensor
	u, v            *Tensor
	w, a, b         [][]float32
	widths          []int64
	in, out, n      int64
	adapted         []bool
	xv, dyv, biases []float32
	bias            *Tensor
}

const groupScale = 1.5

// newGroupCase draws a group of linears of the given widths; those named in adapted have an adapter of rank 5, so that
// the tail is rounded up.
func newGroupCase(t *testing.T, seed uint64, typ Type, in, n int64, widths []int64, adapted []bool) *groupCase {
	f := newFixture(t, seed, 1)
	c := &groupCase{fixture: f, in: in, n: n, widths: widths, adapted: adapted, p: Group{Adapted: adapted, Rank: 5, Scale: groupScale}}
	var fills []func() []float32
	for i, o := range widths {
		w, fill := f.randomWeight(fmt.Sprint("w", i), typ, in, o)
		c.p.W, fills, c.out = append(c.p.W, w), append(fills, fill), c.out+o
	}
	tail := c.p.Tail()
	c.p.Adapters = f.store.New("adapters", F32, max(1, c.p.size()))
	wide, dwide := f.store.New("x", F32, in+tail, n), f.store.New("dy", F32, c.out+tail, n)
	c.x, c.dy = f.store.Columns(wide, "x", 0, in), f.store.Columns(dwide, "dy", 0, c.out)
	if tail > 0 {
		c.u, c.v = f.store.Columns(wide, "u", in, tail), f.store.Columns(dwide, "v", c.out, tail)
	}
	c.y, c.dx, c.bias = f.store.New("y", F32, c.out, n), f.store.New("dx", F32, in, n), f.store.New("bias", F32, c.out)
	f.alloc()
	for _, fill := range fills {
		c.w = append(c.w, fill())
	}
	flat := f.normal(c.p.Adapters, 0.3)
	c.split(flat)
	f.normal(wide, 1)
	f.normal(dwide, 1)
	c.xv, c.dyv, c.biases = f.columns(wide, in), f.columns(dwide, c.out), f.normal(c.bias, 1)
	return c
}

// columns reads the first d columns of t.
func (f *fixture) columns(t *Tensor, d int64) []float32 {
	all, width := f.get(t), t.Ne(0)
	var out []float32
	for i := range t.Ne(1) {
		out = append(out, all[i*width:i*width+d]...)
	}
	return out
}

// split takes the adapters apart: every A, then every B.
func (c *groupCase) split(flat []float32) {
	c.a, c.b = make([][]float32, len(c.widths)), make([][]float32, len(c.widths))
	for i := range c.widths {
		if c.adapted[i] {
			c.a[i], flat = flat[:5*c.in], flat[5*c.in:]
		}
	}
	for i, o := range c.widths {
		if c.adapted[i] {
			c.b[i], flat = flat[:5*o], flat[5*o:]
		}
	}
}

// weight is element (i, o) of linear l with its adapter.
func (c *groupCase) weight(l int, o, i int64) float32 {
	w := c.w[l][o*c.in+i]
	for r := int64(0); r < 5 && c.adapted[l]; r++ {
		w += groupScale * c.b[l][o*5+r] * c.a[l][r*c.in+i]
	}
	return w
}

// at finds the linear that column o of the result belongs to.
func (c *groupCase) at(o int64) (l int, row int64) {
	for o >= c.widths[l] {
		o -= c.widths[l]
		l++
	}
	return l, o
}

func TestGroupAgainstReference(t *testing.T) {
	if module, err := testModule(); err != nil || module == nil {
		t.Skip("groups are computed on devices only: set QLORA_CUDA_LIBRARY to test them")
	}
	cases := []struct {
		typ     Type
		widths  []int64
		adapted []bool
	}{
		{F32, []int64{40}, []bool{true}}, {F32, []int64{40, 9, 24}, []bool{true, true, true}}, {Q4K, []int64{64, 32, 32}, []bool{true, false, true}},
		{Q8_0, []int64{48, 48}, []bool{false, true}}, {Q6K, []int64{33, 7}, []bool{false, false}}, {BF16, []int64{16, 8, 8}, []bool{false, true, false}},
	}
	for i, k := range cases {
		t.Run(fmt.Sprintf("%d_%s", i, k.typ), func(t *testing.T) {
			c := newGroupCase(t, uint64(i)+200, k.typ, 256, 37, k.widths, k.adapted)
			full := func(o, i int64) float32 { l, row := c.at(o); return c.weight(l, row, i) }
			want := product(c.out, c.in, c.n, full, c.xv)
			for i := range want {
				want[i] += c.biases[int64(i)%c.out]
			}
			c.run(c.graph(func(g *Graph) {
				g.ForDevice()
				if c.u != nil {
					g.GroupU(c.u, nil, c.p, c.x, c.scratch)
				}
				g.Group(c.y, c.p, c.x, Bias(c.bias), c.scratch)
			}))
			c.near("forward", c.get(c.y), want, 3e-6)
			back := c.graph(func(g *Graph) {
				g.ForDevice()
				if c.v != nil {
					g.GroupV(c.v, c.p, c.dy, c.scratch)
				}
				g.GroupBack(c.dx, c.p, c.dy, false, false, c.scratch)
			})
			c.run(back)
			c.near("back", c.get(c.dx), product(c.in, c.out, c.n, func(i, o int64) float32 { return full(o, i) }, c.dyv), 3e-6)
		})
	}
}
