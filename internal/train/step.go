package train

import (
	"fmt"
	"time"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
)

// step does one optimiser step over the next window of micro-batches.
func (l *Loop) step() error {
	start := l.now()
	batches, err := l.window()
	if err != nil {
		return err
	}
	number := l.p.Step + 1
	s := Step{Step: number, Total: l.total, Epoch: l.epoch(), LR: l.schedule.At(number)}
	for _, b := range batches {
		s.Trained += int64(b.Trained)
		s.Tokens += realTokens(b)
	}
	loss := 0.0
	if s.Trained == 0 {
		s.Skipped = true
	} else if loss, err = l.update(batches, &s); err != nil {
		return err
	}
	l.p.Step = number
	s.Took = l.now().Sub(start)
	l.count(&s, loss)
	if err := fire(l.hooks.step, s); err != nil {
		return err
	}
	if every(number, l.Options.LogEvery) || number == l.total {
		return l.report()
	}
	return nil
}

// update accumulates the gradient of the mean loss over all trained tokens of
// the step and applies it. It returns the sum of the losses.
func (l *Loop) update(batches []*dataset.Batch, s *Step) (loss float64, err error) {
	s.LossScale = l.Engine.LossScale()
	loss, err = l.accumulate(batches, s.Step, s.Trained)
	if err != nil {
		return 0, err
	}
	s.GradNorm, err = l.Engine.Step(l.p.Updates+1, s.LR, l.Options.Clip)
	if err != nil {
		return 0, fmt.Errorf("step %d: %w", s.Step, err)
	}
	if finite(s.GradNorm) {
		l.p.Updates++
		l.p.OverflowsInRow = 0
		return loss, nil
	}
	return loss, l.overflow(s)
}

// mostOverflows is how many steps in a row may have a gradient that is not
// finite before that counts as a divergence.
const mostOverflows = 20

// overflow counts a step whose gradient is not finite: with a smaller loss
// scale the next one's may be. Where the scale is as small as it gets, or after
// many such steps, the run has diverged.
func (l *Loop) overflow(s *Step) error {
	l.p.Overflows++
	l.p.OverflowsInRow++
	if l.Engine.LossScale() >= s.LossScale || l.p.OverflowsInRow >= mostOverflows {
		return &Diverged{Step: s.Step, What: "gradient norm", Value: s.GradNorm, LossScale: s.LossScale}
	}
	s.Overflowed = true
	return nil
}

// accumulate computes this rank's share of a step with trained tokens in all.
// It returns the sum of the losses of every rank.
func (l *Loop) accumulate(batches []*dataset.Batch, number int, trained int64) (loss float64, err error) {
	scale := float32(1 / float64(trained))
	for micro, b := range batches {
		if b.Trained == 0 || !l.mine(micro) {
			continue
		}
		if err := l.Group.Err(); err != nil {
			return 0, err
		}
		sum, err := l.Engine.Accumulate(b, scale, MicroSeed(l.Options.Seed, number, micro))
		if err != nil {
			return 0, fmt.Errorf("step %d, micro-batch %d: %w", number, micro, err)
		}
		if loss += sum; !finite(sum) {
			break // the other ranks learn of it from the sum
		}
	}
	sums := []float64{loss}
	if err := l.Group.Sum64(sums); err != nil {
		return 0, err
	}
	if !finite(sums[0]) {
		return 0, &Diverged{Step: number, What: "loss", Value: sums[0] / float64(trained), LossScale: l.Engine.LossScale()}
	}
	return sums[0], nil
}

// count adds a finished step to the sums.
func (l *Loop) count(s *Step, loss float64) {
	sums := checkpoint.Sums{Steps: 1, Loss: loss, Trained: s.Trained, Tokens: s.Tokens, Seconds: s.Took.Seconds()}
	s.Loss = sums.MeanLoss()
	l.p.Window.Add(sums)
	l.p.Total.Add(sums)
	l.session.Add(sums)
	l.last = *s
}

// report tells the hooks of the steps since the newest report.
func (l *Loop) report() error {
	w := l.p.Window
	r := Report{Step: l.p.Step, Total: l.total, Epoch: l.epoch(), Loss: w.MeanLoss(),
		GradNorm: l.last.GradNorm, LR: l.last.LR,
		TokensPerSecond:        perSecond(w.Tokens, w.Seconds),
		TrainedTokensPerSecond: perSecond(w.Trained, w.Seconds),
		TrainedTokens:          l.p.Total.Trained, ETA: l.eta(), Memory: l.Memory(),
		LossScale: l.Engine.LossScale(), Overflows: l.p.Overflows}
	l.p.Window = checkpoint.Sums{}
	return fire(l.hooks.report, r)
}

// eta is the time of the remaining steps at this process's mean speed.
func (l *Loop) eta() time.Duration {
	if l.session.Steps == 0 {
		return 0
	}
	left := float64(l.total - l.p.Step)
	return time.Duration(left * l.session.Seconds / float64(l.session.Steps) * float64(time.Second))
}
