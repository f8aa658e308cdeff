package engine

import (
	"math"
	"reflect"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/ggml"
)

func TestLossScaleFollowsGradScaler(t *testing.T) {
	for typ, want := range map[ggml.Type]float64{ggml.F32: 0, ggml.BF16: 0, ggml.F16: 65536} {
		if l := newLossScale(typ); l.scale != want || (want == 0) != (l.state() == nil) {
			t.Errorf("activations in %s begin with scale %g, want %g", typ, l.scale, want)
		}
	}
	l := newLossScale(ggml.F16)
	steps := func(n int, finite bool) {
		for range n {
			l.update(finite)
		}
	}
	for _, c := range []struct {
		n      int
		finite bool
		want   lossScale
	}{
		{1999, true, lossScale{65536, 1999}}, {1, true, lossScale{131072, 0}}, {1999, true, lossScale{131072, 1999}},
		{1, false, lossScale{65536, 0}}, {3, false, lossScale{8192, 0}}, {7, true, lossScale{8192, 7}}, {20, false, lossScale{1, 0}}, {2000, true, lossScale{2, 0}},
	} {
		if steps(c.n, c.finite); l != c.want {
			t.Fatalf("after %d steps, finite %v: %+v, want %+v", c.n, c.finite, l, c.want)
		}
	}
	none := newLossScale(ggml.F32)
	none.update(false)
	none.restore(&checkpoint.LossScale{Scale: 4})
	if none.factor() != 1 || none.state() != nil {
		t.Errorf("without a scale: %+v", none)
	}
}

// threeSteps trains e and returns its state, gradient norms and the last gradient.
func threeSteps(t *testing.T, e *Engine, g golden) (*checkpoint.State, []float64, []float32) {
	t.Helper()
	setWeights(t, e, g.tensor)
	b := g.batch(0)
	var norms []float64
	var last []float32
	for step := range 3 {
		accumulate(t, e, b, 1/float32(b.Trained))
		accumulate(t, e, b, 1/float32(b.Trained))
		grad, err := e.Gradients()
		if err != nil {
			t.Fatal(err)
		}
		norm, err := e.Step(step+1, 1e-2, 0.5)
		if err != nil {
			t.Fatal(err)
		}
		norms, last = append(norms, norm), grad
	}
	s, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	return s, norms, last
}

// A power of two changes no bit of a gradient in F32, so that losses scaled by one must give the same run: whatever forgets
// the scale (the norm, the clip factor, AdamW) would show.
func TestLossScaleDoesNotShow(t *testing.T) {
	g := openGolden(t, "llama")
	o := g.options(Options{Rows: g.int("rows"), Length: g.int("length"), WeightDecay: 0.1})
	plain, norms, grad := threeSteps(t, newEngine(t, openModel(t, "llama"), o), g)
	e := newEngine(t, openModel(t, "llama"), o)
	e.scale = newLossScale(ggml.F16)
	scaled, scaledNorms, scaledGrad := threeSteps(t, e, g)
	if want := (&checkpoint.LossScale{Scale: 65536, Good: 3}); !reflect.DeepEqual(scaled.LossScale, want) {
		t.Errorf("the state has scale %+v, want %+v", scaled.LossScale, want)
	}
	if norms[0] <= 0.5 {
		t.Fatalf("a norm of %g is not clipped: the case proves less than it should", norms[0])
	}
	scaled.LossScale = nil
	if !reflect.DeepEqual(scaled, plain) || !reflect.DeepEqual(scaledNorms, norms) || !reflect.DeepEqual(scaledGrad, grad) {
		t.Errorf("scaled: norms %v, want %v; weights differ by %.1e, gradients by %.1e", scaledNorms, norms, relative(scaled.Weights, plain.Weights), relative(scaledGrad, grad))
	}
}

// A gradient that is not finite halves the scale, is cleared and changes nothing else; a state keeps the scale.
func TestOverflowHalvesTheScale(t *testing.T) {
	g := openGolden(t, "llama")
	o := g.options(Options{Rows: g.int("rows"), Length: g.int("length")})
	e := newEngine(t, openModel(t, "llama"), o)
	setWeights(t, e, g.tensor)
	e.scale = newLossScale(ggml.F16)
	before, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.t.g.SetF32(3, []float32{float32(math.Inf(-1))}); err != nil {
		t.Fatal(err)
	}
	norm, err := e.Step(1, 1e-2, 1)
	if err != nil || !math.IsInf(norm, 1) || e.LossScale() != 32768 {
		t.Fatalf("norm %g, scale %g, error %v; want +Inf, 32768 and none", norm, e.LossScale(), err)
	}
	after, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	if norm, err := e.GradNorm(); err != nil || norm != 0 {
		t.Errorf("the gradient has norm %g after the step that was left out (%v)", norm, err)
	}
	other := newEngine(t, openModel(t, "llama"), o)
	other.scale = newLossScale(ggml.F16)
	if err := other.Restore(after); err != nil || other.LossScale() != 32768 {
		t.Errorf("restored a scale of %g (%v), want 32768", other.LossScale(), err)
	}
	before.LossScale, after.LossScale = nil, nil
	if !reflect.DeepEqual(after, before) {
		t.Error("weights or moments changed")
	}
	if err := other.Restore(after); err != nil || other.LossScale() != 32768 {
		t.Errorf("a state without a scale set it to %g (%v)", other.LossScale(), err)
	}
}
