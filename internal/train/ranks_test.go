package train

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/dist/disttest"
)

// rankEngine is the fake engine as one of several.
type rankEngine struct {
	*fakeEngine
	group *dist.Group
}

func (e rankEngine) Step(t int, lr, clip float64) (float64, error) {
	if err := e.group.Sum32(e.grad); err != nil {
		return 0, err
	}
	return e.fakeEngine.Step(t, lr, clip)
}

// rankRun is what one rank of a run saw.
type rankRun struct {
	calls []string
	steps []Step
	evals []Evaluation
	saved []int
	state *checkpoint.State
	path  string // of the last checkpoint
	err   error
}

// newRankLoop is the run of newLoop with five micro-batches a step, of which
// the last window of an epoch has two.
func newRankLoop(t *testing.T, dir string, g *dist.Group, got *rankRun) (*Loop, *fakeEngine) {
	l, e := newLoop(t, dir, nil)
	l.Options.Accum, l.Options.Epochs, l.Options.EvalEvery, l.Data = 5, 4, 2, epochs(7, 1)
	l.Engine, l.Group = rankEngine{e, g}, g
	l.OnStep("collect", func(s Step) error { got.steps = append(got.steps, s); return nil })
	l.OnEval("collect", func(e Evaluation) error { got.evals = append(got.evals, e); return nil })
	l.OnSave("collect", func(s Saved) error { got.saved = append(got.saved, s.Step); return nil })
	return l, e
}

// runRanks runs size ranks in dir, from its last checkpoint where it has one.
func runRanks(t *testing.T, dir string, size int, change func(rank int, l *Loop, e *fakeEngine) context.Context) []rankRun {
	t.Helper()
	runs := make([]rankRun, size)
	disttest.Each(t, size, func(g *dist.Group) error {
		got := &runs[g.Rank()]
		l, e := newRankLoop(t, dir, g, got)
		ctx := context.Background()
		if change != nil {
			ctx = change(g.Rank(), l, e)
		}
		from, err := l.Store.Open("last")
		if err != nil && !errors.Is(err, checkpoint.ErrNone) {
			return err
		}
		if got.err = g.Barrier(); got.err != nil { // all have read before rank 0 writes
			return got.err
		}
		r, err := l.Run(ctx, from)
		if got.err = err; r != nil {
			got.path = r.Checkpoint
		}
		got.calls = slices.DeleteFunc(e.calls, func(c string) bool { return strings.HasPrefix(c, "step") })
		got.state, _ = e.State()
		if OnAllRanks(err) {
			return nil
		}
		return err
	})
	return runs
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-5*max(1e-3, math.Abs(a), math.Abs(b)) }

// sameCurve holds what ranks saw to what one process saw.
func sameCurve(t *testing.T, one, many rankRun) {
	t.Helper()
	if len(one.steps) != len(many.steps) || len(one.evals) != len(many.evals) {
		t.Fatalf("%d steps and %d evaluations, alone %d and %d", len(many.steps), len(many.evals), len(one.steps), len(one.evals))
	}
	for i, s := range many.steps {
		want := one.steps[i]
		if !near(s.Loss, want.Loss) || !near(s.GradNorm, want.GradNorm) || s.Trained != want.Trained || s.Tokens != want.Tokens || s.LR != want.LR || s.Epoch != want.Epoch {
			t.Errorf("step %+v\nalone %+v", s, want)
		}
	}
	for i, e := range many.evals {
		if want := one.evals[i]; !near(e.Loss, want.Loss) || e.Tokens != want.Tokens || e.Step != want.Step {
			t.Errorf("evaluation %+v\nalone %+v", e, want)
		}
	}
	for i, w := range many.state.Weights {
		if !near(float64(w), float64(one.state.Weights[i])) {
			t.Errorf("weight %d is %g, alone %g", i, w, one.state.Weights[i])
		}
	}
}

// Ranks compute what one process computes: the same micro-batches with the same
// scale and seed, the same losses, evaluations and weights; rank 0 alone saves.
func TestRanksTrainLikeOne(t *testing.T) {
	one := runRanks(t, t.TempDir(), 1, nil)[0]
	if one.err != nil || len(one.calls) < 12 {
		t.Fatalf("alone: %d calls, %v", len(one.calls), one.err)
	}
	for size := 2; size <= 5; size++ {
		runs := runRanks(t, t.TempDir(), size, nil)
		var calls []string
		for rank, r := range runs {
			if r.err != nil {
				t.Fatalf("rank %d of %d: %v", rank, size, r.err)
			}
			sameCurve(t, one, r)
			if !reflect.DeepEqual(r.state, runs[0].state) {
				t.Errorf("rank %d of %d ends in other bytes than rank 0", rank, size)
			}
			if (len(r.saved) > 0) != (rank == 0) || r.path != runs[0].path {
				t.Errorf("rank %d of %d saved %v, last %s", rank, size, r.saved, r.path)
			}
			calls = append(calls, r.calls...)
		}
		slices.Sort(calls)
		if want := slices.Sorted(slices.Values(one.calls)); !slices.Equal(calls, want) {
			t.Errorf("%d ranks computed\n%s\nalone\n%s", size, strings.Join(calls, "\n"), strings.Join(want, "\n"))
		}
	}
}

// A stop asked of any rank, between or within steps and evaluations, ends all
// after the same step, and any number of ranks goes on from there.
func TestAnyRankStopsAll(t *testing.T) {
	one := runRanks(t, t.TempDir(), 1, nil)[0]
	stopped := 0
	for at := range 14 {
		asked, askedAt, dir := at%3, -1, t.TempDir()
		runs := runRanks(t, dir, 3, func(rank int, l *Loop, _ *fakeEngine) context.Context {
			ctx, cancel := context.WithCancel(context.Background())
			t.Cleanup(cancel)
			events := -1
			event := func() {
				if events++; rank == asked && events == at {
					askedAt = l.p.Step
					cancel()
				}
			}
			event() // before the first step
			l.OnStep("stop", func(Step) error { event(); return nil })
			l.OnEvalPart("stop", func(EvalPart) error { event(); return nil })
			return ctx
		})
		var first *Interrupted
		if !errors.As(runs[0].err, &first) {
			break // past the end of the run
		}
		if first.Step != askedAt {
			t.Errorf("asked to stop after step %d, the run stopped after step %d", askedAt, first.Step)
		}
		stopped++
		for rank, r := range runs {
			var i *Interrupted
			if !errors.As(r.err, &i) || *i != *first {
				t.Fatalf("stop at %d of rank %d: rank %d ends in %v, rank 0 in %v", at, asked, rank, r.err, first)
			}
		}
		if c, err := checkpoint.Load(first.Checkpoint); err != nil || c.Progress.Step != first.Step {
			t.Fatalf("stop at %d: checkpoint %v", at, err)
		}
		rest := runRanks(t, dir, 1+at%2, nil)[0]
		if rest.err != nil {
			t.Fatal(rest.err)
		}
		rest.steps, rest.evals = append(runs[0].steps, rest.steps...), append(runs[0].evals, rest.evals...)
		sameCurve(t, one, rest)
	}
	if stopped < 8 {
		t.Errorf("only %d moments were tried", stopped)
	}
}

// What goes wrong on one rank ends all, by its own name.
func TestWhatEndsOneRankEndsAll(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name   string
		change func(l *Loop, e *fakeEngine)
		same   bool // the error is the same on all ranks
		want   string
	}{
		{"other weights at the start", func(_ *Loop, e *fakeEngine) { e.state.Weights[3]++ }, true, "the digest of the weights after step 0"},
		{"drift", func(l *Loop, e *fakeEngine) {
			l.OnStep("drift", func(s Step) error {
				if s.Step == 3 {
					e.state.Weights[0] = math.Nextafter32(e.state.Weights[0], 9)
				}
				return nil
			})
		}, true, "the digest of the weights after step"},
		{"divergence", func(_ *Loop, e *fakeEngine) {
			e.loss = func(call int, _ *dataset.Batch) float64 { return math.Log(float64(4 - call)) }
		}, true, "diverged"},
		{"a hook", func(l *Loop, _ *fakeEngine) { l.OnStep("log", func(s Step) error { return broken }) }, false, "broken"},
		{"the engine", func(_ *Loop, e *fakeEngine) { e.fuse = &fuse{left: 5} }, false, "killed"},
	} {
		for bad := range 3 {
			dir := t.TempDir()
			runs := runRanks(t, dir, 3, func(rank int, l *Loop, e *fakeEngine) context.Context {
				if rank == bad {
					c.change(l, e)
				}
				return context.Background()
			})
			for rank, r := range runs {
				var p *dist.PeerError
				if r.err == nil || !strings.Contains(r.err.Error(), c.want) || errors.As(r.err, &p) != (!c.same && rank != bad) {
					t.Errorf("%s on rank %d: rank %d ends in %v", c.name, bad, rank, r.err)
				}
				if p != nil && (p.Rank != bad || p.Code != 7) {
					t.Errorf("%s on rank %d: rank %d blames %+v", c.name, bad, rank, p)
				}
			}
			if left, err := checkpoint.NewStore(dir, func(text string) { t.Error(text) }).List(); err != nil {
				t.Errorf("%s: %v, %v", c.name, left, err)
			}
		}
	}
}

func TestFewerMicroBatchesThanRanks(t *testing.T) {
	for rank, r := range runRanks(t, t.TempDir(), 3, func(_ int, l *Loop, _ *fakeEngine) context.Context {
		l.Options.Accum = 2
		return context.Background()
	}) {
		if want := "2 micro-batches per step for 3 ranks"; r.err == nil || !strings.Contains(r.err.Error(), want) {
			t.Errorf("rank %d: %v, want %q", rank, r.err, want)
		}
	}
}
