package train

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
)

// fuse counts everything that happens in a run, engine calls and hooks alike,
// and kills the run at one of them.
type fuse struct{ left int }

var errKilled = errors.New("killed")

func (f *fuse) burn() error {
	if f == nil {
		return nil
	}
	if f.left--; f.left < 0 {
		return errKilled
	}
	return nil
}

// fakeEngine is a deterministic engine whose weights depend on every argument
// it ever got: on tokens, scale, seed, t, rate and clip, and on their order.
type fakeEngine struct {
	state  checkpoint.State
	grad   []float32
	fuse   *fuse
	calls  []string                                 // of Accumulate and Step
	loss   func(call int, b *dataset.Batch) float64 // when set, replaces the loss
	norm   func(t int) float64                      // when set, replaces the norm
	evals  []float64                                // when set, the mean losses of evaluations in order
	limit  func(t int) float64                      // with scaled losses, the largest scale whose gradient does not overflow in update t
	evaled int
}

const fakeWeights = 6

func newFake(f *fuse) *fakeEngine {
	e := &fakeEngine{fuse: f, grad: make([]float32, fakeWeights)}
	e.state.Params = []checkpoint.Param{{Name: "w", Dims: []int64{3, 2}, Offset: 0, Len: fakeWeights}}
	for i := range fakeWeights {
		e.state.Weights = append(e.state.Weights, float32(i)-2.5)
	}
	e.state.M, e.state.V = make([]float32, fakeWeights), make([]float32, fakeWeights)
	return e
}

// number hashes its arguments to -1..1.
func number(args ...any) float64 {
	h := fnv.New64a()
	fmt.Fprint(h, args...)
	return float64(mix(h.Sum64()))/math.MaxUint64*2 - 1
}

func (e *fakeEngine) Accumulate(b *dataset.Batch, scale float32, seed uint64) (float64, error) {
	if err := e.fuse.burn(); err != nil {
		return 0, err
	}
	e.calls = append(e.calls, fmt.Sprintf("accumulate %v scale 1/%.0f", b.Tokens[0], 1/scale))
	loss := 0.0
	for i := range e.grad {
		g := number(b.Tokens, b.Targets, i, seed) + float64(e.state.Weights[i])/8
		e.grad[i] += scale * float32(g) * float32(b.Trained)
		loss += math.Abs(g) * float64(b.Trained)
	}
	if e.loss != nil {
		loss = e.loss(len(e.calls), b)
	}
	return loss, nil
}

func (e *fakeEngine) Step(t int, lr, clip float64) (float64, error) {
	if err := e.fuse.burn(); err != nil {
		return 0, err
	}
	e.calls = append(e.calls, fmt.Sprintf("step %d", t))
	if s := e.state.LossScale; s != nil {
		if s.Good++; s.Scale > e.limit(t) {
			s.Scale, s.Good = max(1, s.Scale/2), 0
			clear(e.grad)
			return math.Inf(1), nil
		}
	}
	norm := 0.0
	for _, g := range e.grad {
		norm += float64(g) * float64(g)
	}
	norm = math.Sqrt(norm)
	for i, g := range e.grad {
		g *= float32(min(1, clip/norm))
		m, v := &e.state.M[i], &e.state.V[i]
		*m = 0.9**m + 0.1*g
		*v = 0.99**v + 0.01*g*g
		mh := float64(*m) / (1 - math.Pow(0.9, float64(t)))
		vh := float64(*v) / (1 - math.Pow(0.99, float64(t)))
		e.state.Weights[i] -= float32(lr * mh / (math.Sqrt(vh) + 1e-8))
		e.grad[i] = 0
	}
	if e.norm != nil {
		norm = e.norm(t)
	}
	return norm, nil
}

func (e *fakeEngine) LossScale() float64 {
	if e.state.LossScale == nil {
		return 0
	}
	return e.state.LossScale.Scale
}

func (e *fakeEngine) Eval(b *dataset.Batch) (float64, error) {
	if err := e.fuse.burn(); err != nil {
		return 0, err
	}
	if e.evals != nil {
		e.evaled++
		return e.evals[(e.evaled-1)%len(e.evals)] * float64(b.Trained), nil
	}
	sum := 0.0
	for i, w := range e.state.Weights {
		sum += math.Abs(number(b.Tokens, i)-float64(w)) * float64(b.Trained)
	}
	return sum, nil
}

func (e *fakeEngine) State() (*checkpoint.State, error) {
	s := e.state
	s.Weights, s.M, s.V = slices.Clone(s.Weights), slices.Clone(s.M), slices.Clone(s.V)
	s.LossScale = cloneScale(s.LossScale)
	return &s, nil
}

func (e *fakeEngine) Restore(s *checkpoint.State) error {
	if err := checkpoint.SameLayout(s.Params, e.state.Params); err != nil {
		return err
	}
	e.state.Weights, e.state.M, e.state.V = slices.Clone(s.Weights), slices.Clone(s.M), slices.Clone(s.V)
	e.state.LossScale = cloneScale(s.LossScale)
	return nil
}

func cloneScale(s *checkpoint.LossScale) *checkpoint.LossScale {
	if s == nil {
		return nil
	}
	out := *s
	return &out
}

func (e *fakeEngine) Close() error { return nil }

// list is a fixed sequence of batches.
type list []*dataset.Batch

func (l list) Len() int                   { return len(l) }
func (l list) Batch(i int) *dataset.Batch { return l[i] }

// batch is one row of a sample of n tokens that starts with id, of which
// trained carry loss.
func batch(id, n, trained int) *dataset.Batch {
	b := &dataset.Batch{Rows: 1, Length: n, Trained: trained}
	for i := range n {
		b.Tokens = append(b.Tokens, int32(id+i))
		target := int32(-1)
		if i < trained {
			target = int32(id + i + 1)
		}
		b.Targets = append(b.Targets, target)
		b.Positions = append(b.Positions, int32(i))
		b.Segments = append(b.Segments, 0)
	}
	return b
}

// epochs is a source of n batches per epoch, different in each, of unequal
// numbers of trained tokens; the batches whose index is in untrained have
// none.
func epochs(n int, untrained ...int) Source {
	return func(epoch int) (Batches, error) {
		var l list
		for i := range n {
			trained := 1 + (i*3+epoch)%5
			if slices.Contains(untrained, i) {
				trained = 0
			}
			l = append(l, batch(1000*epoch+100*i, 6, trained))
		}
		return l, nil
	}
}

// ticking is a clock that advances a second a look.
func ticking() func() time.Time {
	t := time.Unix(0, 0)
	return func() time.Time {
		t = t.Add(time.Second)
		return t
	}
}
