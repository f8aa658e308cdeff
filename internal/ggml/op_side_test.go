package ggml

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// poison fills what an operation must neither read nor write: a NaN in F32, F16 and BF16, and not the one that arithmetic on
// it gives, so that a result written there shows.
const poison = 0x7fa5

// layout is what lies around matrices (columns to the left and right of them, in the same rows, and rows below) and, in
// elements, before and behind what has no gaps between its rows.
type layout struct {
	name                     string
	left, right, rows, guard int64
}

// role says what an operation does to a tensor.
type role int

const (
	reads   role = iota
	updates      // reads and writes
	writes
)

// region is a tensor with guards around it.
type region struct {
	name         string
	role         role
	half         bool // an activation, in 16 bits where such are tested
	buffer       *Tensor
	d, n, ld, at int64   // n rows of d elements, ld apart, the first of them at element `at` of the buffer
	parts        []int64 // widths of column ranges that are compared one by one; nil: one
	limit        float64
	raw          []byte // after the graph ran
}

// side is one of the two computations of a case: the one under test, with guards, or the reference in F32 on the CPU. Both
// declare the same tensors in the same order and so draw the same values, rounded to the type under test.
type side struct {
	*fixture
	act     Type // of activations on this side
	tested  Type // of activations on the side under test
	around  layout
	regions []*region
	fills   []func()
}

func newSide(t *testing.T, seed uint64, backend *Backend, act, tested Type, around layout) *side {
	t.Helper()
	store, err := NewStore(128)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &side{fixture: newRandom(t, seed, store, backend), act: act, tested: tested, around: around}
}

// matrix declares activations.
func (s *side) matrix(r role, name string, d, n int64) *Tensor {
	return s.typed(r, name, true, d, n, 0)
}

// wide declares a matrix in F32. roundings is how many roundings to 16 bits a result went through.
func (s *side) wide(r role, name string, d, n int64, roundings float64) *Tensor {
	return s.typed(r, name, false, d, n, roundings)
}

func (s *side) typed(r role, name string, half bool, d, n int64, roundings float64) *Tensor {
	g, t := s.around, s.typeOf(half)
	buffer := s.store.New(name+" buffer", t, g.left+d+g.right, n+g.rows)
	ld := buffer.Ne(0)
	s.add(&region{name: name, role: r, half: half, buffer: buffer, d: d, n: n, ld: ld, at: g.left, limit: s.limit(half, roundings)})
	row := t.RowBytes(ld)
	return s.store.strided(buffer, name, g.left, [3]int64{d, n, 1}, [2]int64{row, row * n})
}

// heads declares activations and returns them as [d, heads, n].
func (s *side) heads(r role, name string, d, heads, n int64) *Tensor {
	s.matrix(r, name, d*heads, n)
	buffer := s.regions[len(s.regions)-1].buffer
	return s.store.strided(buffer, name, s.around.left, [3]int64{d, heads, n}, [2]int64{s.act.RowBytes(d), s.act.RowBytes(buffer.Ne(0))})
}

// flat declares a tensor without gaps between its rows, guarded before and behind.
func (s *side) flat(r role, name string, half bool, d, n int64, roundings float64) *Tensor {
	guard := s.around.guard
	buffer := s.store.New(name+" buffer", s.typeOf(half), guard+d*n+guard)
	s.add(&region{name: name, role: r, half: half, buffer: buffer, d: d * n, n: 1, ld: buffer.Ne(0), at: guard, limit: s.limit(half, roundings)})
	return s.store.View(buffer, name, guard, d, n)
}

func (s *side) vector(r role, name string, n int64) *Tensor { return s.flat(r, name, false, n, 1, 0) }

func (s *side) typeOf(half bool) Type {
	if half {
		return s.act
	}
	return F32
}

func (s *side) indices(name string, values ...int32) *Tensor {
	out := s.store.New(name, I32, int64(len(values)))
	s.fills = append(s.fills, func() { s.ints(out, values...) })
	return out
}

func (s *side) weight(name string, t Type, in, out int64) *Tensor {
	w, fill := s.randomWeight(name, t, in, out)
	s.fills = append(s.fills, func() { fill() })
	return w
}

// work declares scratch of n F32 values, poisoned.
func (s *side) work(n int64) *Tensor {
	out := s.store.New("scratch", F32, max(n, referenceThreads*ScratchBytes(fixtureLength)/4))
	s.fills = append(s.fills, func() {
		if err := out.SetBytes(poisoned(out.Bytes())); err != nil {
			s.t.Fatal(err)
		}
	})
	return out
}

// limit is the largest normalised squared error of a result. A value rounded to 16 bits is off by at most half a unit in
// its last place; squared, less than u*u/3 on average. F32 results of rounded inputs differ in the order of their sums.
func (s *side) limit(half bool, roundings float64) float64 {
	if half {
		roundings += 3
	}
	u := map[Type]float64{F32: 0, F16: 1.0 / (1 << 11), BF16: 1.0 / (1 << 8)}[s.tested]
	return max(1e-9, roundings*u*u/3)
}

func (s *side) add(r *region) {
	s.regions = append(s.regions, r)
	s.fills = append(s.fills, func() {
		values := make([]float32, r.d*r.n)
		for i := range values {
			values[i] = float32(s.rng.NormFloat64())
		}
		raw := poisoned(r.buffer.Bytes())
		if r.role != writes {
			if r.half { // on the reference side too: the values that the tested side sees
				values = s.decode(s.tested, s.encode(s.tested, values))
			}
			r.place(raw, s.encode(r.buffer.Type(), values))
		}
		if err := r.buffer.SetBytes(raw); err != nil {
			s.t.Fatal(err)
		}
	})
}

func poisoned(n int64) []byte {
	return bytes.Repeat(binary.LittleEndian.AppendUint16(nil, poison), int(n/2))
}

func (s *side) encode(t Type, values []float32) []byte {
	raw := make([]byte, t.RowBytes(int64(len(values))))
	if err := Quantize(t, values, len(values), nil, raw); err != nil {
		s.t.Fatal(err)
	}
	return raw
}

func (s *side) decode(t Type, raw []byte) []float32 {
	values := make([]float32, int64(len(raw))/t.RowBytes(1))
	if err := Dequantize(t, raw, values); err != nil {
		s.t.Fatal(err)
	}
	return values
}

// place copies the rows of packed to their places in raw; take is the opposite and leaves poison where they were.
func (r *region) place(raw, packed []byte) {
	size := r.buffer.Type().RowBytes(1)
	for i := range r.n {
		copy(raw[(r.at+i*r.ld)*size:], packed[i*r.d*size:(i+1)*r.d*size])
	}
}

func (r *region) take() (packed, rest []byte) {
	size := r.buffer.Type().RowBytes(1)
	rest = bytes.Clone(r.raw)
	for i := range r.n {
		row := rest[(r.at+i*r.ld)*size:][:r.d*size]
		packed = append(packed, row...)
		copy(row, poisoned(int64(len(row))))
	}
	return packed, rest
}

// compute declares the case, fills it, runs it and reads every tensor back.
func (s *side) compute(build func(s *side) func(*Graph)) {
	s.t.Helper()
	nodes := build(s)
	s.alloc()
	for _, fill := range s.fills {
		fill()
	}
	s.run(s.graph(func(g *Graph) {
		if !s.backend.OnHost() {
			g.ForDevice()
		}
		nodes(g)
	}))
	for _, r := range s.regions {
		r.raw = make([]byte, r.buffer.Bytes())
		if err := r.buffer.GetBytes(r.raw); err != nil {
			s.t.Fatal(err)
		}
	}
}

// compare holds what an operation wrote to the reference, and what lies around every tensor to what it was.
func (s *side) compare(want *side) {
	s.t.Helper()
	for i, r := range s.regions {
		packed, rest := r.take()
		if at := firstDifference(rest, poisoned(int64(len(rest)))); at >= 0 {
			s.t.Errorf("%s: byte %d of the %d around it was written (seed %d)", r.name, at, len(rest), s.seed)
		}
		reference, _ := want.regions[i].take()
		got, expected := s.decode(r.buffer.Type(), packed), want.decode(want.regions[i].buffer.Type(), reference)
		if r.role == reads && !slices.Equal(got, expected) {
			s.t.Errorf("%s: an input was changed (seed %d)", r.name, s.seed)
		}
		r.compare(s, got, expected)
	}
}

// nonZero counts the values that rounding can reach.
func nonZero(values []float32) (n float64) {
	for _, v := range values {
		if v != 0 {
			n++
		}
	}
	return n
}

// compare holds each part of what was written to its limit, relative to the part, or to the whole where it is much smaller:
// what should be zero is not exactly.
func (r *region) compare(s *side, got, want []float32) {
	s.t.Helper()
	parts := r.parts
	if parts == nil {
		parts = []int64{r.d}
	}
	_, whole := squares(got, want)
	for i, at := 0, int64(0); i < len(parts); i++ {
		g, w := columnsOf(got, r.d, at, parts[i]), columnsOf(want, r.d, at, parts[i])
		diff, norm := squares(g, w)
		limit := r.limit * (1 + 8/nonZero(w)) // few values scatter far about the average
		if e := diff / max(norm, whole/100); diff != 0 && !(e <= limit) {
			worst := farthest(g, w)
			s.t.Errorf("%s, part %d: normalised squared error %.2e, at most %.1e allowed; element %d is %g, want %g (seed %d)",
				r.name, i, e, limit, worst, g[worst], w[worst], s.seed)
		}
		at += parts[i]
	}
}

// columnsOf is columns [from, from+d) of rows of width values.
func columnsOf(values []float32, width, from, d int64) (out []float32) {
	for at := from; at < int64(len(values)); at += width {
		out = append(out, values[at:at+d]...)
	}
	return out
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}

// squares are the sum of squared differences and that of the expected squares.
func squares(got, want []float32) (diff, norm float64) {
	for i := range want {
		d := float64(got[i]) - float64(want[i])
		diff, norm = diff+d*d, norm+float64(want[i])*float64(want[i])
	}
	return diff, norm
}

// farthest is the place of the largest difference, or of the first NaN.
func farthest(got, want []float32) (worst int) {
	most := 0.0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			return i
		}
		if d > most {
			most, worst = d, i
		}
	}
	return worst
}
