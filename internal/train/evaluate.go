package train

import (
	"context"
	"errors"
	"fmt"
)

// evaluateIfDue evaluates before the first step, every EvalEvery steps and at
// the end, once per step. It tells whether the result is the best so far. The
// error is ctx's when that ended first; the evaluation is then repeated when
// the run goes on.
func (l *Loop) evaluateIfDue(ctx context.Context) (improved bool, err error) {
	if l.Eval == nil || l.p.EvalStep == l.p.Step {
		return false, nil
	}
	if l.p.Step > 0 && l.p.Step < l.total && !every(l.p.Step, l.Options.EvalEvery) {
		return false, nil
	}
	start := l.now()
	loss, tokens, err := l.evaluate(ctx)
	if err != nil {
		return false, err
	}
	if err := l.sameWeights(nil); err != nil {
		return false, err
	}
	improved = l.judge(loss)
	e := Evaluation{Step: l.p.Step, Epoch: l.epoch(), Loss: loss, Tokens: tokens,
		Best: improved, BadEvals: l.p.BadEvals, Took: l.now().Sub(start)}
	return improved && l.p.Step > 0, fire(l.hooks.eval, e)
}

// judge books an evaluation of the current step. The one before training sets
// the mark to beat.
func (l *Loop) judge(loss float64) (improved bool) {
	p := &l.p
	p.EvalStep, p.EvalLoss = p.Step, &loss
	if p.Step == 0 {
		p.FirstEvalLoss = &loss
	}
	if p.BestEvalLoss != nil && loss >= *p.BestEvalLoss {
		p.BadEvals++
		return false
	}
	p.BestEvalLoss, p.BestStep, p.BadEvals = &loss, p.Step, 0
	return true
}

// evaluate is the mean loss over all targets of the evaluation data, of which
// every rank computes its share.
func (l *Loop) evaluate(ctx context.Context) (loss float64, tokens int64, err error) {
	sum, tokens, err := l.evaluateShare(ctx)
	cancelled := 0.0
	if errors.Is(err, context.Canceled) {
		cancelled, err = 1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	sums := []float64{sum, float64(tokens), cancelled}
	if err := l.Group.Sum64(sums); err != nil {
		return 0, 0, err
	}
	sum, tokens = sums[0], int64(sums[1])
	switch {
	case sums[2] > 0:
		return 0, 0, context.Canceled
	case tokens == 0:
		return 0, 0, fmt.Errorf("the evaluation data has no token with loss")
	case !finite(sum):
		return 0, 0, &Diverged{Step: l.p.Step, What: "evaluation loss", Value: sum, LossScale: l.Engine.LossScale()}
	}
	return sum / float64(tokens), tokens, nil
}

// evaluateShare is the sum of the losses over the targets of this rank's
// batches, and their number.
func (l *Loop) evaluateShare(ctx context.Context) (sum float64, tokens int64, err error) {
	for i := range l.Eval.Len() {
		if ctx.Err() != nil {
			return 0, 0, context.Canceled
		}
		if err := l.Group.Err(); err != nil {
			return 0, 0, err
		}
		if !l.mine(i) {
			continue
		}
		b := l.Eval.Batch(i)
		if b.Trained > 0 {
			part, err := l.Engine.Eval(b)
			if err != nil {
				return 0, 0, fmt.Errorf("evaluation after step %d, batch %d: %w", l.p.Step, i, err)
			}
			sum += part
			tokens += int64(b.Trained)
		}
		if err := fire(l.hooks.evalPart, EvalPart{i + 1, l.Eval.Len()}); err != nil {
			return 0, 0, err
		}
	}
	return sum, tokens, nil
}
