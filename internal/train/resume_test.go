package train

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
)

// final is everything that a run leaves: the newest checkpoint's bookkeeping
// and state, and its reports and evaluations by step.
type final struct {
	progress    checkpoint.Progress
	state       *checkpoint.State
	reports     map[int]Report
	evaluations map[int]Evaluation
}

func newFinal() *final {
	return &final{reports: map[int]Report{}, evaluations: map[int]Evaluation{}}
}

// collect attaches f to l. Reports of repeated steps replace earlier ones.
func (f *final) collect(l *Loop) {
	l.OnReport("collect", func(r Report) error {
		r.ETA = 0 // of this process, and so the one figure that may differ
		f.reports[r.Step] = r
		return nil
	})
	l.OnEval("collect", func(e Evaluation) error {
		e.Took = 0
		f.evaluations[e.Step] = e
		return nil
	})
}

func (f *final) open(t *testing.T, l *Loop) *final {
	t.Helper()
	c, err := l.Store.Open("last")
	if err != nil {
		t.Fatal(err)
	}
	f.progress, f.state = c.Progress, c.State
	return f
}

// goOn runs dir's run from its newest checkpoint, or from the beginning, until
// it ends or the fuse blows.
func (f *final) goOn(t *testing.T, ctx context.Context, dir string, fuse *fuse, change func(*Loop)) error {
	t.Helper()
	l, _ := newLoop(t, dir, fuse)
	if change != nil {
		change(l)
	}
	f.collect(l)
	c, err := l.Store.Open("last")
	if err != nil && !errors.Is(err, checkpoint.ErrNone) {
		t.Fatal(err)
	}
	if _, err = l.Run(ctx, c); err == nil {
		f.open(t, l)
	}
	return err
}

// straight is the run that nothing disturbs.
func straight(t *testing.T, change func(*Loop)) *final {
	t.Helper()
	f := newFinal()
	if err := f.goOn(t, context.Background(), t.TempDir(), nil, change); err != nil {
		t.Fatal(err)
	}
	return f
}

// Killed at any engine call or hook and resumed, a run ends in the same bytes,
// with the same reports and evaluations.
func TestResumeAfterAnyKillIsExact(t *testing.T) {
	if kills := killEverywhere(t, nil); kills < 40 {
		t.Errorf("only %d moments were tried", kills)
	}
}

// The same where the evaluation never gets better and stops the run.
func TestResumeBeforeEarlyStopIsExact(t *testing.T) {
	kills := killEverywhere(t, func(l *Loop) {
		l.Options.Patience, l.Options.SaveEvery = 3, 1
		l.Engine.(*fakeEngine).evals = []float64{5}
	})
	if kills < 30 {
		t.Errorf("only %d moments were tried", kills)
	}
}

// killEverywhere kills a run at each of its events in turn, resumes it and
// holds its end to that of a run left alone. It returns the number of events.
func killEverywhere(t *testing.T, change func(*Loop)) int {
	t.Helper()
	want := straight(t, change)
	for left := 0; ; left++ {
		dir, got := t.TempDir(), newFinal()
		err := got.goOn(t, context.Background(), dir, &fuse{left}, change)
		if err == nil {
			return left
		}
		if !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if err := got.goOn(t, context.Background(), dir, nil, change); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("killed at event %d:\n%+v\nwant\n%+v", left, got, want)
		}
	}
}

// A run that dies again and again still ends in the same bytes.
func TestResumeAfterManyKillsIsExact(t *testing.T) {
	want := straight(t, nil)
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 3))
		dir, got := t.TempDir(), newFinal()
		err := errKilled
		for tries := 0; err != nil; tries++ {
			if !errors.Is(err, errKilled) || tries > 500 {
				t.Fatalf("seed %d, try %d: %v", seed, tries, err)
			}
			err = got.goOn(t, context.Background(), dir, &fuse{8 + r.IntN(40)}, nil)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d:\n%+v\nwant\n%+v", seed, got, want)
		}
	}
}

// Asked to stop at any event, a run finishes its step, saves, and goes on
// exactly from there.
func TestInterruptAndResumeIsExact(t *testing.T) {
	want := straight(t, nil)
	interrupts := 0
	for at := 1; ; at++ {
		dir, got := t.TempDir(), newFinal()
		ctx, cancel := context.WithCancel(context.Background())
		events := 0
		count := func() error {
			if events++; events == at {
				cancel()
			}
			return nil
		}
		stepsDone := 0
		err := got.goOn(t, ctx, dir, nil, func(l *Loop) {
			l.OnStep("count", func(s Step) error { stepsDone = s.Step; return count() })
			l.OnEvalPart("count", func(EvalPart) error { return count() })
			l.OnSave("count", func(Saved) error { return count() })
		})
		cancel()
		if err == nil {
			break
		}
		var i *Interrupted
		if !errors.As(err, &i) || i.Step != stepsDone {
			t.Fatalf("event %d: %v after %d steps", at, err, stepsDone)
		}
		if c, err := checkpoint.Load(i.Checkpoint); err != nil || c.Progress.Step != stepsDone {
			t.Fatalf("event %d: checkpoint %v", at, err)
		}
		interrupts++
		if err := got.goOn(t, context.Background(), dir, nil, nil); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("interrupted at event %d:\n%+v\nwant\n%+v", at, got, want)
		}
	}
	if interrupts < 15 {
		t.Errorf("only %d moments were tried", interrupts)
	}
}

// Going back to an earlier checkpoint replays the same run and puts the later
// checkpoints aside.
func TestResumeFromEarlierCheckpoint(t *testing.T) {
	want := straight(t, nil)
	dir, got := t.TempDir(), newFinal()
	keepAll := func(l *Loop) { l.Options.KeepLast = 0 }
	if err := got.goOn(t, context.Background(), dir, nil, keepAll); err != nil {
		t.Fatal(err)
	}
	l, _ := newLoop(t, dir, nil)
	again := newFinal()
	again.collect(l)
	c, err := l.Store.Open(dir + "/checkpoint-3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Run(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	again.open(t, l)
	if !reflect.DeepEqual(again.state, want.state) || !reflect.DeepEqual(again.progress, want.progress) {
		t.Errorf("replayed from step 3:\n%+v\nwant\n%+v", again.progress, want.progress)
	}
	if _, err := checkpoint.Load(dir + "/checkpoint-8.old"); err != nil {
		t.Errorf("the replaced end was not put aside: %v", err)
	}
}

func TestResumeRefusesOtherRun(t *testing.T) {
	dir := t.TempDir()
	l, _ := newLoop(t, dir, nil)
	run(t, l)
	c, err := l.Store.Open("last")
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Loop){
		`rank was "16" and is "8"`:      func(l *Loop) { l.Options.Identity.Settings = map[string]string{"rank": "8"} },
		`rank was "16" and is ""`:       func(l *Loop) { l.Options.Identity.Settings = nil },
		"the training data changed":     func(l *Loop) { l.Options.Identity.Data = "other" },
		"the settings have another":     func(l *Loop) { l.Options.Identity.ConfigHash = "other" },
		"seed was 7 and is 8":           func(l *Loop) { l.Options.Seed = 8 },
		"layout of trained tensors dif": func(l *Loop) { l.Engine.(*fakeEngine).state.Params[0].Dims = []int64{2, 3} },
	} {
		l, e := newLoop(t, dir, nil)
		change(l)
		_, err := l.Run(context.Background(), c)
		if err == nil || !strings.Contains(err.Error(), want) || len(e.calls) > 0 {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// A finished run goes on when it is given more steps.
func TestResumeWithMoreSteps(t *testing.T) {
	constant := func(epochs int) func(*Loop) {
		return func(l *Loop) {
			l.Options.Epochs = epochs
			l.Options.Schedule = Schedule{Kind: "constant", Peak: 0.1}
			l.Options.EvalEvery = 4
		}
	}
	one, two := newFinal(), newFinal()
	if err := one.goOn(t, context.Background(), t.TempDir(), nil, constant(2)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, epochs := range []int{1, 2} {
		if err := two.goOn(t, context.Background(), dir, nil, constant(epochs)); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(one.state, two.state) || one.progress.Step != two.progress.Step {
		t.Errorf("one go ends in %+v, two in %+v", one.state, two.state)
	}
}
