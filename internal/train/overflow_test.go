package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
)

// scaledLoop is newLoop with losses scaled by 65536, too much for every gradient
// until update 2 and for that of update 5: two steps and one more are left out.
func scaledLoop(t *testing.T, dir string, f *fuse) (*Loop, *fakeEngine) {
	t.Helper()
	l, e := newLoop(t, dir, f)
	e.state.LossScale = &checkpoint.LossScale{Scale: 65536}
	e.limit = func(update int) float64 {
		if update == 5 {
			return 8192
		}
		return 16384
	}
	return l, e
}

// A step whose gradient overflows trains nothing and is counted; the run goes on
// with the next batches, and AdamW counts the steps that did something.
func TestOverflowLeavesTheStepOut(t *testing.T) {
	l, e := scaledLoop(t, t.TempDir(), nil)
	l.Options.LogEvery = 1
	var left []int
	var scales []float64
	var reports []Report
	l.OnStep("collect", func(s Step) error {
		if s.Overflowed {
			left = append(left, s.Step)
		}
		if finite(s.GradNorm) == s.Overflowed {
			t.Errorf("step %d: norm %g, overflowed %v", s.Step, s.GradNorm, s.Overflowed)
		}
		scales = append(scales, s.LossScale)
		return nil
	})
	l.OnReport("collect", func(r Report) error { reports = append(reports, r); return nil })
	l.Options.Epochs = 3
	r := run(t, l)
	if want := []int{1, 3, 9}; !slices.Equal(left, want) { // step 2 has no target
		t.Errorf("steps %v were left out, want %v", left, want)
	}
	if want := []float64{65536, 0, 32768, 16384, 16384, 0, 16384, 16384, 16384, 0, 8192, 8192}; !slices.Equal(scales, want) {
		t.Errorf("loss scales %v, want %v", scales, want)
	}
	if want := 12 - 3 - 3; r.Steps != 12 || r.Updates != want || e.calls[len(e.calls)-1] != "step 6" {
		t.Errorf("%d steps, %d updates, the last call is %s; want 12, %d and step 6", r.Steps, r.Updates, e.calls[len(e.calls)-1], want)
	}
	if l.p.OverflowsInRow != 0 {
		t.Errorf("%d steps in a row overflowed, the last one did not", l.p.OverflowsInRow)
	}
	if last := reports[len(reports)-1]; last.Overflows != 3 || last.LossScale != 8192 || reports[0].LossScale != 32768 {
		t.Errorf("first report %+v, last %+v", reports[0], last)
	}
}

// Where no scale helps the run has diverged: at the smallest one, or after many
// steps in a row.
func TestOverflowWithoutEndIsDivergence(t *testing.T) {
	for name, c := range map[string]struct {
		scale float64
		steps int
	}{"smallest scale": {8, 4}, "steps in a row": {1 << 40, mostOverflows}} {
		l, e := newLoop(t, t.TempDir(), nil)
		l.Data, l.Options.Epochs = epochs(4), 20
		e.state.LossScale, e.limit = &checkpoint.LossScale{Scale: c.scale}, func(int) float64 { return 0 }
		before := slices.Clone(e.state.Weights)
		_, err := l.Run(context.Background(), nil)
		var d *Diverged
		if !errors.As(err, &d) || d.Step != c.steps || d.What != "gradient norm" || !math.IsInf(d.Value, 1) || d.LossScale == 0 {
			t.Errorf("%s: error %v %+v, want a divergence in step %d", name, err, d, c.steps)
		}
		if !slices.Equal(e.state.Weights, before) {
			t.Errorf("%s: the weights changed", name)
		}
	}
}

// A run killed at any moment and resumed ends in the scale, the counts and the
// bytes of one left alone.
func TestResumeKeepsTheLossScale(t *testing.T) {
	final := func(l *Loop, e *fakeEngine) (checkpoint.State, checkpoint.LossScale, [3]int) {
		s := e.state
		scale := *s.LossScale
		s.LossScale = nil
		return s, scale, [3]int{l.p.Updates, l.p.Overflows, l.p.OverflowsInRow}
	}
	whole, e := scaledLoop(t, t.TempDir(), nil)
	whole.Options.Epochs = 3
	run(t, whole)
	want, wantScale, wantCounts := final(whole, e)
	for kill := 1; ; kill++ {
		dir := t.TempDir()
		first, _ := scaledLoop(t, dir, &fuse{left: kill})
		first.Options.Epochs = 3
		_, err := first.Run(context.Background(), nil)
		if err == nil {
			if kill < 30 {
				t.Fatalf("the run has %d moments only", kill)
			}
			return
		}
		from, err := first.Store.Open("last")
		if errors.Is(err, checkpoint.ErrNone) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		second, e := scaledLoop(t, dir, nil)
		second.Options.Epochs = 3
		if _, err := second.Run(context.Background(), from); err != nil {
			t.Fatal(err)
		}
		got, scale, counts := final(second, e)
		if !slices.Equal(got.Weights, want.Weights) || !slices.Equal(got.M, want.M) || scale != wantScale || counts != wantCounts {
			t.Fatalf("killed at %d: scale %v, counts %v, want %v and %v; weights %v, want %v", kill, scale, counts, wantScale, wantCounts, got.Weights, want.Weights)
		}
	}
}
