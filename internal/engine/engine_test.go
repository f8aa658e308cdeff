package engine

import (
	"math"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/lora"
)

// TestDropoutGradient compares the gradient's length with the slope of the loss along it, under one dropout mask.
func TestDropoutGradient(t *testing.T) {
	g := openGolden(t, "llama")
	o := g.options(Options{Rows: g.int("rows"), Length: g.int("length")})
	o.LoRA.Dropout = 0.3
	for _, recompute := range []string{RecomputeNone, RecomputeBlock} {
		o.Recompute = recompute
		e := newEngine(t, openModel(t, "llama"), o)
		setWeights(t, e, g.tensor)
		b, seed := g.batch(0), uint64(1)<<40+7
		loss := func() float64 {
			sum, err := e.Accumulate(b, 1/float32(b.Trained), seed)
			if err != nil {
				t.Fatal(err)
			}
			return sum / float64(b.Trained)
		}
		first := loss()
		flat, err := e.Gradients()
		if err != nil {
			t.Fatal(err)
		}
		norm, err := e.GradNorm()
		if err != nil {
			t.Fatal(err)
		}
		start, err := e.State()
		if err != nil {
			t.Fatal(err)
		}
		const h = 3e-3
		moved := func(by float64) float64 {
			s := *start
			s.Weights = append([]float32(nil), start.Weights...)
			for i, d := range flat {
				s.Weights[i] += float32(by * float64(d) / norm)
			}
			if err := e.Restore(&s); err != nil {
				t.Fatal(err)
			}
			return loss()
		}
		slope := (moved(h) - moved(-h)) / (2 * h)
		if math.Abs(slope/norm-1) > 1e-3 {
			t.Errorf("recompute %s: the loss rises by %g along a gradient of length %g", recompute, slope, norm)
		}
		if err := e.Restore(start); err != nil {
			t.Fatal(err)
		}
		if seed++; loss() == first {
			t.Errorf("another seed gives the same loss %g: nothing was dropped", first)
		}
		if plain, err := e.Eval(b); err != nil || plain/float64(b.Trained) == first {
			t.Errorf("evaluation gives the loss with dropout, %g (%v)", first, err)
		}
	}
}

func TestPlanCountsWhatIsAllocated(t *testing.T) {
	for _, name := range []string{"llama", "qwen2", "qwen3"} {
		g := openGolden(t, name)
		for _, recompute := range []string{RecomputeNone, RecomputeBlock} {
			o := g.options(Options{Rows: g.int("rows"), Length: g.int("length"), Recompute: recompute})
			o.LoRA.Dropout = 0.1
			e := newEngine(t, openModel(t, name), o)
			plan, real := e.Plan(), e.acts.store.Bytes()+e.opt.store.Bytes()
			// every tensor is padded to 32 bytes, which matters only at this size
			if predicted := plan.Kept + plan.Workspace; math.Abs(float64(predicted)/float64(real)-1) > 0.02 {
				t.Errorf("%s, recompute %s: planned %d bytes of activations, allocated %d", name, recompute, predicted, real)
			}
			if real := e.t.store.Bytes(); math.Abs(float64(plan.Trained)/float64(real)-1) > 0.02 {
				t.Errorf("%s: planned %d bytes of trained state, allocated %d", name, plan.Trained, real)
			}
		}
	}
}

// On the CPU; the plans of a device are tested with their budgets.
func TestRecomputeAutoFollowsTheBudget(t *testing.T) {
	g := openGolden(t, "llama")
	o := g.options(Options{Rows: g.int("rows"), Length: g.int("length"), Recompute: RecomputeAuto})
	for budget, want := range map[int64]string{1 << 40: RecomputeNone, 1 << 10: RecomputeBlock} {
		o.MemoryBudget = budget
		if got := startEngine(t, openModel(t, "llama"), o).Plan().Recompute; got != want {
			t.Errorf("a budget of %d bytes chose recompute %s, want %s", budget, got, want)
		}
	}
}

func TestBadInputIsRefused(t *testing.T) {
	g := openGolden(t, "llama")
	o := g.options(Options{Rows: g.int("rows"), Length: g.int("length")})
	e := newEngine(t, openModel(t, "llama"), o)
	cases := map[string]func() error{
		"outside the vocabulary": func() error { b := g.batch(0); b.Tokens[3] = 1 << 20; _, err := e.Eval(b); return err },
		"target":                 func() error { b := g.batch(0); b.Targets[0] = 1 << 20; _, err := e.Eval(b); return err },
		"segment start":          func() error { b := g.batch(0); b.Segments[2] = 9; _, err := e.Eval(b); return err },
		"built for":              func() error { b := g.batch(0); b.Rows++; _, err := e.Eval(b); return err },
		"parameters":             func() error { return e.Restore(&checkpoint.State{}) },
		"optimiser":              func() error { _, err := e.Step(0, 1, 1); return err },
	}
	for want, run := range cases {
		if err := run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", want, err)
		}
	}
	bad := o
	bad.Method = "magic"
	if _, err := New(openModel(t, "llama"), bad); err == nil {
		t.Error("method magic was accepted")
	}
	tied := Options{Method: MethodQLoRA, Rows: 1, Length: 8, Recompute: RecomputeNone, Beta1: .9, Beta2: .9, Eps: 1,
		LoRA: lora.Config{Rank: 4, Alpha: 4, Target: "output"}}
	if _, err := New(openModel(t, "qwen2"), tied); err == nil || !strings.Contains(err.Error(), "tied") {
		t.Errorf("an adapter on a tied head: got error %v", err)
	}
}

// TestNonFiniteGradientChangesNothing poisons an adapter and expects the optimiser to leave everything as it was.
func TestNonFiniteGradientChangesNothing(t *testing.T) {
	g := openGolden(t, "llama")
	e := newEngine(t, openModel(t, "llama"), g.options(Options{Rows: g.int("rows"), Length: g.int("length")}))
	setWeights(t, e, g.tensor)
	s, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	s.Weights[0] = float32(math.NaN())
	if err := e.Restore(s); err != nil {
		t.Fatal(err)
	}
	b := g.batch(0)
	if _, err := e.Accumulate(b, 1, 0); err != nil {
		t.Fatal(err)
	}
	norm, err := e.Step(1, 1e-3, 1)
	if err != nil || !math.IsNaN(norm) {
		t.Fatalf("gradient norm %g, error %v; want NaN", norm, err)
	}
	after, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	for i := range after.Weights {
		if i > 0 && after.Weights[i] != s.Weights[i] || after.M[i] != 0 {
			t.Fatalf("value %d changed on a step with a NaN gradient", i)
		}
	}
}
