package train

import (
	"fmt"
	"time"
)

// Start is told to OnStart hooks before the first evaluation or step.
type Start struct {
	Step     int // where the run goes on; 0 for a new one
	Total    int // steps planned
	Epochs   int // epochs they touch
	Schedule Schedule
}

// Step is told to OnStep hooks after every step.
type Step struct {
	Step, Total int
	Epoch       float64 // epochs done, with the fraction of the current one
	Loss        float64 // mean over the step's trained tokens, nats
	GradNorm    float64 // before clipping
	LR          float64
	Tokens      int64
	Trained     int64   // tokens with loss
	Skipped     bool    // no token with loss: nothing was computed
	Overflowed  bool    // the gradient was too large for 16 bits: nothing was updated
	LossScale   float64 // of the gradient, 0 for none
	Took        time.Duration
}

// Report is told to OnReport hooks every LogEvery steps and at the end. Loss
// and the rates cover the steps since the previous report.
type Report struct {
	Step, Total            int
	Epoch                  float64
	Loss                   float64 // mean over trained tokens, nats
	GradNorm, LR           float64 // of the newest step
	TokensPerSecond        float64 // tokens of samples, trained or not
	TrainedTokensPerSecond float64
	TrainedTokens          int64 // since the start of the run
	ETA                    time.Duration
	Memory                 Memory
	LossScale              float64 // of the next step, 0 for none
	Overflows              int     // steps since the start of the run that updated nothing
}

// Evaluation is told to OnEval hooks.
type Evaluation struct {
	Step     int
	Epoch    float64
	Loss     float64 // mean over the targets of the evaluation data, nats
	Tokens   int64   // their number
	Best     bool    // lower than every one before
	BadEvals int     // evaluations since the best
	Took     time.Duration
}

// Saved is told to OnSave hooks after a checkpoint is complete.
type Saved struct {
	Step int
	Path string
	Best bool // the step has the lowest evaluation loss so far
}

// hook is a named function of one kind of event.
type hook[T any] struct {
	name string
	run  func(T) error
}

// hooks holds what is attached from outside, each kind in the order of
// attachment.
type hooks struct {
	start    []hook[Start]
	step     []hook[Step]
	report   []hook[Report]
	eval     []hook[Evaluation]
	evalPart []hook[EvalPart]
	save     []hook[Saved]
}

// EvalPart is told to OnEvalPart hooks after each batch of an evaluation.
type EvalPart struct{ Done, Total int }

// OnStart attaches f; its error, like that of every hook, ends the run and is
// prefixed with name.
func (l *Loop) OnStart(name string, f func(Start) error) {
	l.hooks.start = append(l.hooks.start, hook[Start]{name, f})
}

// OnStep attaches f to every step.
func (l *Loop) OnStep(name string, f func(Step) error) {
	l.hooks.step = append(l.hooks.step, hook[Step]{name, f})
}

// OnReport attaches f to every report.
func (l *Loop) OnReport(name string, f func(Report) error) {
	l.hooks.report = append(l.hooks.report, hook[Report]{name, f})
}

// OnEval attaches f to every finished evaluation.
func (l *Loop) OnEval(name string, f func(Evaluation) error) {
	l.hooks.eval = append(l.hooks.eval, hook[Evaluation]{name, f})
}

// OnEvalPart attaches f to every batch of an evaluation.
func (l *Loop) OnEvalPart(name string, f func(EvalPart) error) {
	l.hooks.evalPart = append(l.hooks.evalPart, hook[EvalPart]{name, f})
}

// OnSave attaches f to every checkpoint.
func (l *Loop) OnSave(name string, f func(Saved) error) {
	l.hooks.save = append(l.hooks.save, hook[Saved]{name, f})
}

// fire runs the hooks of one kind in order and stops at the first error.
func fire[T any](hooks []hook[T], event T) error {
	for _, h := range hooks {
		if err := h.run(event); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
	}
	return nil
}
