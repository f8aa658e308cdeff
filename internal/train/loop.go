package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dist"
)

// Loop is one training run. Set the exported fields, attach hooks, call Run
// once.
type Loop struct {
	Engine  Engine
	Data    Source
	Eval    Batches // evaluation data in its fixed order, nil for none
	Store   *checkpoint.Store
	Options Options
	// Group is the processes that share the micro-batches of each step and of
	// each evaluation, nil for one alone. Their Engines' Step adds up the
	// gradients of all. Only rank 0 writes to the Store.
	Group *dist.Group
	// Extras, when set, adds files to each checkpoint, such as the adapter in
	// the form that other programs load.
	Extras func(*checkpoint.State) []checkpoint.Extra
	// Memory, when set, replaces ProcessMemory.
	Memory func() Memory

	hooks hooks
	now   func() time.Time

	p        checkpoint.Progress
	schedule Schedule
	total    int     // steps planned
	ready    bool    // prepared
	batches  Batches // of epoch p.Epoch
	last     Step    // newest step
	saved    savedAs
	session  checkpoint.Sums // since this process began, for the ETA
}

// savedAs identifies what the newest checkpoint holds.
type savedAs struct {
	path           string
	step, evalStep int
}

// Result is what a finished or interrupted run comes to.
type Result struct {
	Steps, Updates  int
	Reason          string  // why it ended
	TrainLoss       float64 // mean over every trained token of the run, nats
	TrainedTokens   int64
	Tokens          int64
	FirstEvalLoss   *float64 // before training
	EvalLoss        *float64 // newest
	BestEvalLoss    *float64
	BestStep        int
	TokensPerSecond float64 // tokens of samples over time in steps
	Memory          Memory
	Checkpoint      string // newest
}

// Run trains until the planned end, an early stop, a divergence or the
// cancellation of ctx, from the beginning or from a checkpoint. The error of a
// run that ended too early is *Diverged or *Interrupted where that is why; the
// Result is valid with those too.
func (l *Loop) Run(ctx context.Context, from *checkpoint.Checkpoint) (*Result, error) {
	if err := l.begin(from); err != nil {
		return nil, err
	}
	for {
		reason, err := l.turn(ctx)
		if err != nil {
			return l.result(""), l.explain(err)
		}
		if reason != "" {
			return l.finish(reason)
		}
	}
}

// turn does what is due between two steps, and then the next step. A reason
// says that there is none.
func (l *Loop) turn(ctx context.Context) (reason string, err error) {
	improved, err := l.evaluateIfDue(ctx)
	stop := errors.Is(err, context.Canceled)
	if err == nil {
		stop, err = l.stopping(ctx)
	}
	if stop {
		return "", l.interrupt()
	}
	if err != nil {
		return "", err
	}
	reason = l.over()
	if improved || reason != "" || l.p.Step > 0 && every(l.p.Step, l.Options.SaveEvery) {
		if err := l.save(); err != nil {
			return "", err
		}
	}
	if reason != "" {
		return reason, nil
	}
	return "", l.step()
}

// Prepare validates and plans, and puts the state of from, nil for a new run,
// into the engine. It writes nothing, so that a checkpoint of another run (the
// error wraps ErrOtherRun) is refused while everything is still as it was. Run
// prepares by itself where this was not called, and takes the same from.
func (l *Loop) Prepare(from *checkpoint.Checkpoint) error {
	if l.now == nil {
		l.now = time.Now
	}
	if l.Memory == nil {
		l.Memory = ProcessMemory
	}
	if err := l.Options.Check(); err != nil {
		return err
	}
	if n := l.Group.Size(); l.Options.Accum < n {
		return fmt.Errorf("%d micro-batches per step for %d ranks: one each at least", l.Options.Accum, n)
	}
	if err := l.plan(); err != nil {
		return err
	}
	l.p = checkpoint.Progress{Seed: l.Options.Seed, EvalStep: -1}
	l.saved = savedAs{step: -1, evalStep: -1}
	if from != nil {
		if err := l.restore(from); err != nil {
			return err
		}
	}
	if err := l.layOut(); err != nil {
		return err
	}
	l.ready = true
	return nil
}

// Planned is the number of steps that a prepared run comes to, those of an
// earlier process included.
func (l *Loop) Planned() int { return l.total }

// begin prepares, and makes the run's folder that of from.
func (l *Loop) begin(from *checkpoint.Checkpoint) error {
	if !l.ready {
		if err := l.Prepare(from); err != nil {
			return err
		}
	}
	if err := l.sameWeights(nil); err != nil {
		return err
	}
	if from != nil && l.Group.Leads() {
		if err := l.Store.Rewind(l.p.Step); err != nil {
			return err
		}
	}
	o := l.Options
	l.p.Schedule = l.schedule.String()
	l.p.Settings, l.p.ConfigHash, l.p.DataFingerprint = o.Identity.Settings, o.Identity.ConfigHash, o.Identity.Data
	return fire(l.hooks.start, Start{Step: l.p.Step, Total: l.total, Epochs: o.Epochs, Schedule: l.schedule})
}

// restore puts a checkpoint of the same run into the engine.
func (l *Loop) restore(from *checkpoint.Checkpoint) error {
	p := from.Progress
	if err := l.Options.Identity.Match(p); err != nil {
		return fmt.Errorf("resume from %s: %w", from.Path, err)
	}
	if p.Seed != l.Options.Seed {
		return fmt.Errorf("resume from %s: %w: seed was %d and is %d", from.Path, ErrOtherRun, p.Seed, l.Options.Seed)
	}
	if err := l.Engine.Restore(from.State); err != nil {
		return fmt.Errorf("resume from %s: %w", from.Path, err)
	}
	l.p = p
	l.saved = savedAs{path: from.Path, step: p.Step, evalStep: p.EvalStep}
	return nil
}

// over says why no further step is to be done, or nothing.
func (l *Loop) over() string {
	switch {
	case l.Options.Patience > 0 && l.p.BadEvals >= l.Options.Patience:
		return fmt.Sprintf("no better evaluation in %d", l.p.BadEvals)
	case l.p.Step >= l.total:
		return "all steps done"
	}
	return ""
}

// Ended says why a prepared run has nothing left to do, neither a step nor an
// evaluation; it is empty for one that has.
func (l *Loop) Ended() string {
	if l.Eval != nil && l.p.EvalStep != l.p.Step {
		return ""
	}
	return l.over()
}

// finish reports the steps since the newest report.
func (l *Loop) finish(reason string) (*Result, error) {
	if l.p.Window.Steps > 0 {
		if err := l.report(); err != nil {
			return nil, err
		}
	}
	return l.result(reason), nil
}

func (l *Loop) result(reason string) *Result {
	p := l.p
	r := &Result{Steps: p.Step, Updates: p.Updates, Reason: reason, TrainLoss: p.Total.MeanLoss(),
		TrainedTokens: p.Total.Trained, Tokens: p.Total.Tokens, FirstEvalLoss: p.FirstEvalLoss,
		EvalLoss: p.EvalLoss, BestEvalLoss: p.BestEvalLoss, BestStep: p.BestStep,
		Memory: l.Memory(), Checkpoint: l.saved.path}
	r.TokensPerSecond = perSecond(p.Total.Tokens, p.Total.Seconds)
	return r
}

// explain adds to a divergence where the run can go on from.
func (l *Loop) explain(err error) error {
	var d *Diverged
	if errors.As(err, &d) {
		d.LastGood = l.saved.path
	}
	return err
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func perSecond(n int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(n) / seconds
}
