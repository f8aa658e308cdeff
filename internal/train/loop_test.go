package train

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
)

// options is a run of two epochs, every kind of event among them.
func options() Options {
	return Options{Seed: 7, Accum: 2, Epochs: 2, Clip: 1, EvalEvery: 2, SaveEvery: 3, LogEvery: 2, KeepLast: 2,
		Schedule: Schedule{Kind: "cosine", Peak: 0.1, Floor: 0.01, Warmup: 2},
		Identity: Identity{Settings: map[string]string{"rank": "16"}, ConfigHash: "c", Data: "d"}}
}

// newLoop is a run over seven micro-batches per epoch: three windows of two
// and one of one, the second window without a target.
func newLoop(t *testing.T, dir string, f *fuse) (*Loop, *fakeEngine) {
	t.Helper()
	e := newFake(f)
	l := &Loop{Engine: e, Data: epochs(7, 2, 3, 5), Eval: list{batch(9000, 6, 3), batch(9100, 6, 5)},
		Store:   checkpoint.NewStore(dir, func(text string) { t.Log(text) }),
		Options: options(), Memory: func() Memory { return Memory{RSS: 1, PeakRSS: 2} }, now: ticking()}
	l.OnStep("fuse", func(Step) error { return f.burn() })
	l.OnReport("fuse", func(Report) error { return f.burn() })
	l.OnEval("fuse", func(Evaluation) error { return f.burn() })
	l.OnSave("fuse", func(Saved) error { return f.burn() })
	return l, e
}

func run(t *testing.T, l *Loop) *Result {
	t.Helper()
	r, err := l.Run(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The last window of an epoch is never dropped and never mixed with the next
// epoch, batches without targets are not computed but their steps counted, and
// scale is one over the trained tokens of the step.
func TestWindowsAndScale(t *testing.T) {
	l, e := newLoop(t, t.TempDir(), nil)
	r := run(t, l)
	want := []string{
		"accumulate 0 scale 1/5", "accumulate 100 scale 1/5", "step 1", // trained 1+4
		"accumulate 400 scale 1/3", "step 2", // 3, and 5 without
		"accumulate 600 scale 1/4", "step 3",
		"accumulate 1000 scale 1/7", "accumulate 1100 scale 1/7", "step 4", // 2+5
		"accumulate 1400 scale 1/4", "step 5",
		"accumulate 1600 scale 1/5", "step 6",
	}
	if !slices.Equal(e.calls, want) {
		t.Errorf("calls\n%s\nwant\n%s", strings.Join(e.calls, "\n"), strings.Join(want, "\n"))
	}
	if r.Steps != 8 || r.Updates != 6 || r.TrainedTokens != 28 || r.Tokens != 14*6 {
		t.Errorf("%d steps, %d updates, %d trained of %d tokens; want 8, 6, 28 of 84", r.Steps, r.Updates, r.TrainedTokens, r.Tokens)
	}
}

func TestLossIsWeightedByTokens(t *testing.T) {
	l, e := newLoop(t, t.TempDir(), nil)
	l.Options.MaxSteps = 1
	e.loss = func(call int, b *dataset.Batch) float64 { return float64(call) * float64(b.Trained) }
	var steps []Step
	l.OnStep("collect", func(s Step) error { steps = append(steps, s); return nil })
	r := run(t, l)
	want := (1.0*1 + 2.0*4) / 5
	if len(steps) != 1 || steps[0].Loss != want || r.TrainLoss != want {
		t.Errorf("loss %+v, of the run %g, want %g", steps, r.TrainLoss, want)
	}
}

func TestReports(t *testing.T) {
	l, _ := newLoop(t, t.TempDir(), nil)
	l.Options.LogEvery = 3
	var steps []Step
	var reports []Report
	l.OnStep("collect", func(s Step) error { steps = append(steps, s); return nil })
	l.OnReport("collect", func(r Report) error { reports = append(reports, r); return nil })
	run(t, l)
	if len(reports) != 3 || reports[0].Step != 3 || reports[1].Step != 6 || reports[2].Step != 8 {
		t.Fatalf("reports %+v", reports)
	}
	mean := func(s []Step) float64 {
		loss, n := 0.0, 0.0
		for _, s := range s {
			loss += s.Loss * float64(s.Trained)
			n += float64(s.Trained)
		}
		return loss / n
	}
	for i, from := range []int{0, 3, 6} {
		r, last := reports[i], min(from+3, 8)
		if want := mean(steps[from:last]); math.Abs(r.Loss-want) > 1e-12 {
			t.Errorf("report %d: loss %g, want %g", i, r.Loss, want)
		}
		if s := steps[last-1]; r.LR != s.LR || r.GradNorm != s.GradNorm || r.Epoch != s.Epoch {
			t.Errorf("report %d: %+v, the last step is %+v", i, r, s)
		}
	}
	// Each step of the ticking clock takes a second; windows hold 12, 12, 12
	// and 6 tokens an epoch.
	if r := reports[0]; r.TokensPerSecond != 12 || r.ETA.Seconds() != 5 || r.Memory.RSS != 1 {
		t.Errorf("first report: %g tokens/s, %s left, %+v", r.TokensPerSecond, r.ETA, r.Memory)
	}
	if !steps[1].Skipped || steps[1].Loss != 0 || steps[0].Skipped {
		t.Errorf("the second step has no target, and only it: %+v", steps[:2])
	}
	if steps[3].Epoch != 1 || steps[7].Epoch != 2 {
		t.Errorf("epochs %g and %g, want 1 and 2", steps[3].Epoch, steps[7].Epoch)
	}
}

func TestEvaluations(t *testing.T) {
	l, e := newLoop(t, t.TempDir(), nil)
	l.Options.EvalEvery = 3
	e.evals = []float64{5, 3, 4, 4, 2, 2, 7, 7} // two batches each
	var got []Evaluation
	l.OnEval("collect", func(e Evaluation) error { got = append(got, e); return nil })
	r := run(t, l)
	wantLoss := []float64{(5*3 + 3*5) / 8., 4, 2, 7}
	for i, step := range []int{0, 3, 6, 8} {
		if i >= len(got) || got[i].Step != step || got[i].Loss != wantLoss[i] || got[i].Tokens != 8 {
			t.Fatalf("evaluations %+v, want number %d of step %d with loss %g", got, i, step, wantLoss[i])
		}
	}
	if *r.FirstEvalLoss != wantLoss[0] || *r.EvalLoss != 7 || *r.BestEvalLoss != 2 || r.BestStep != 6 {
		t.Errorf("result %+v", r)
	}
	c, err := l.Store.Open("best")
	if err != nil {
		t.Fatal(err)
	}
	if c.Progress.Step != 6 {
		t.Errorf("best checkpoint is of step %d, want 6", c.Progress.Step)
	}
}

func TestEarlyStop(t *testing.T) {
	l, e := newLoop(t, t.TempDir(), nil)
	l.Options.EvalEvery, l.Options.Patience = 1, 2
	e.evals = []float64{9, 9, 8, 8, 8, 8, 8.5, 8.5, 1, 1}
	r := run(t, l)
	if r.Steps != 3 || r.BestStep != 1 || !strings.Contains(r.Reason, "no better evaluation in 2") {
		t.Errorf("stopped after %d steps, best %d, because %q", r.Steps, r.BestStep, r.Reason)
	}
	if c, err := l.Store.Open("last"); err != nil || c.Progress.Step != 3 {
		t.Errorf("last checkpoint: %v", err)
	}
}

func TestCheckpointsKept(t *testing.T) {
	l, e := newLoop(t, t.TempDir(), nil)
	l.Options.EvalEvery, l.Options.SaveEvery, l.Options.KeepLast = 2, 1, 2
	e.evals = []float64{9, 9, 1, 1, 8, 8, 7, 7, 7, 7}
	run(t, l)
	entries, err := l.Store.List()
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	for _, e := range entries {
		steps = append(steps, e.Step)
	}
	if !slices.Equal(steps, []int{2, 7, 8}) {
		t.Errorf("checkpoints of steps %v, want the best, 2, and the last two", steps)
	}
}

func TestMaxStepsEndsInsideAnEpoch(t *testing.T) {
	l, _ := newLoop(t, t.TempDir(), nil)
	l.Options.Epochs, l.Options.MaxSteps = 0, 11
	if r := run(t, l); r.Steps != 11 {
		t.Errorf("%d steps, want 11", r.Steps)
	}
}

func TestDivergence(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for what, spoil := range map[string]func(*fakeEngine){
		"loss": func(e *fakeEngine) {
			e.loss = func(call int, b *dataset.Batch) float64 {
				return map[bool]float64{true: nan, false: 1}[call > 10]
			}
		},
		"gradient norm": func(e *fakeEngine) {
			e.norm = func(t int) float64 { return map[bool]float64{true: inf, false: 1}[t > 4] }
		},
		"evaluation loss": func(e *fakeEngine) { e.evals = []float64{3, 3, 2, 2, nan, 2} },
	} {
		l, e := newLoop(t, filepath.Join(t.TempDir(), "run"), nil)
		spoil(e)
		_, err := l.Run(context.Background(), nil)
		var d *Diverged
		if !errors.As(err, &d) || d.What != what {
			t.Errorf("%s: error %v", what, err)
			continue
		}
		c, err := checkpoint.Load(d.LastGood)
		if err != nil {
			t.Errorf("%s: last good checkpoint: %v", what, err)
			continue
		}
		for _, w := range c.State.Weights {
			if !finite(float64(w)) {
				t.Errorf("%s: the last good checkpoint holds %v", what, w)
			}
		}
		if c.Progress.Step >= d.Step && what != "evaluation loss" {
			t.Errorf("%s: diverged in step %d, last good is %d", what, d.Step, c.Progress.Step)
		}
	}
}

func TestHookErrorsAreNamed(t *testing.T) {
	l, _ := newLoop(t, t.TempDir(), nil)
	boom := errors.New("no space left")
	l.OnReport("metrics.jsonl", func(Report) error { return boom })
	_, err := l.Run(context.Background(), nil)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "metrics.jsonl") {
		t.Errorf("error %v", err)
	}
}

func TestBadOptions(t *testing.T) {
	for name, spoil := range map[string]func(*Options){
		"accum":      func(o *Options) { o.Accum = 0 },
		"endless":    func(o *Options) { o.Epochs = 0 },
		"schedule":   func(o *Options) { o.Schedule.Kind = "cosin" },
		"rate":       func(o *Options) { o.Schedule.Peak = 0 },
		"nan rate":   func(o *Options) { o.Schedule.Peak = math.NaN() },
		"floor":      func(o *Options) { o.Schedule.Floor = 1 },
		"clip":       func(o *Options) { o.Clip = math.NaN() },
		"patience":   func(o *Options) { o.Patience = -1 },
		"warm share": func(o *Options) { o.WarmupShare = 2 },
	} {
		l, e := newLoop(t, t.TempDir(), nil)
		spoil(&l.Options)
		if _, err := l.Run(context.Background(), nil); err == nil || len(e.calls) > 0 {
			t.Errorf("%s: error %v after %d calls", name, err, len(e.calls))
		}
	}
}

func TestNoBatches(t *testing.T) {
	l, _ := newLoop(t, t.TempDir(), nil)
	l.Data = epochs(0)
	l.Options.Epochs, l.Options.MaxSteps = 0, 5
	if _, err := l.Run(context.Background(), nil); !errors.Is(err, errNoBatches) {
		t.Errorf("error %v", err)
	}
	l, _ = newLoop(t, t.TempDir(), nil)
	l.Eval = list{batch(1, 4, 0)}
	if _, err := l.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "evaluation data") {
		t.Errorf("evaluation data without a target: %v", err)
	}
}

func TestRealTokens(t *testing.T) {
	b := &dataset.Batch{Segments: []int32{0, 0, 2, 2, 2, 5, 6}}
	if n := realTokens(b); n != 5 {
		t.Errorf("%d tokens, want 5: the last two positions are padding", n)
	}
}

func TestMicroSeed(t *testing.T) {
	seen := map[uint64][3]int{}
	for seed := range 3 {
		for step := range 40 {
			for micro := range 40 {
				key := [3]int{seed, step, micro}
				v := MicroSeed(uint64(seed), step, micro)
				if other, ok := seen[v]; ok {
					t.Fatalf("%v and %v share a seed", key, other)
				}
				seen[v] = key
			}
		}
	}
	if a, b := MicroSeed(1, 2, 3), MicroSeed(1, 2, 3); a != b {
		t.Errorf("%d and %d", a, b)
	}
}

func TestProcessMemory(t *testing.T) {
	m := ProcessMemory()
	if m.RSS < 1<<20 || m.PeakRSS < m.RSS/2 || m.VRAM != 0 {
		t.Errorf("%+v", m)
	}
	if got := residentBytes("500 20 3 4 5 6 7\n", 4096); got != 20*4096 {
		t.Errorf("statm: %d", got)
	}
	if got := highWaterBytes([]byte("VmPeak:\t 9 kB\nVmHWM:\t    37 kB\nVmRSS: 5 kB\n")); got != 37<<10 {
		t.Errorf("status: %d", got)
	}
	if residentBytes("x", 1) != 0 || residentBytes("1 x", 1) != 0 || !reflect.ValueOf(highWaterBytes(nil)).IsZero() {
		t.Error("unreadable figures are not 0")
	}
}
