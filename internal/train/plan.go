package train

import (
	"errors"
	"fmt"
	"math"

	"github.com/qlora/qlora/internal/dataset"
)

// mostEmptyEpochs bounds the search for an epoch with data: fractional weights
// of few samples leave some epochs without any.
const mostEmptyEpochs = 10_000

var errNoBatches = errors.New("the training data gives no batches")

// plan counts the steps and completes the schedule.
func (l *Loop) plan() error {
	total, err := countSteps(l.Data, l.Options)
	if err != nil {
		return err
	}
	l.total = total
	l.schedule = l.Options.scheduleFor(total)
	return nil
}

// countSteps is the number of steps of a run: the windows of its epochs, no
// more than MaxSteps.
func countSteps(data Source, o Options) (int, error) {
	total, empty := 0, 0
	for epoch := 0; o.Epochs == 0 || epoch < o.Epochs; epoch++ {
		b, err := data(epoch)
		if err != nil {
			return 0, fmt.Errorf("lay out epoch %d: %w", epoch, err)
		}
		if b.Len() == 0 {
			if empty++; empty > mostEmptyEpochs {
				return 0, errNoBatches
			}
			continue
		}
		empty = 0
		total += (b.Len() + o.Accum - 1) / o.Accum
		if o.MaxSteps > 0 && total >= o.MaxSteps {
			return o.MaxSteps, nil
		}
	}
	if total == 0 {
		return 0, errNoBatches
	}
	return total, nil
}

// scheduleFor is the schedule of a run of total steps.
func (o Options) scheduleFor(total int) Schedule {
	s := o.Schedule
	s.Total = total
	if s.Warmup == 0 {
		s.Warmup = int(math.Ceil(o.WarmupShare * float64(total)))
	}
	if s.Kind == "wsd" && s.Decay == 0 {
		s.Decay = int(math.Ceil(o.DecayShare * float64(total)))
	}
	return s
}

// window returns the micro-batches of the next step, up to Accum of one epoch,
// and moves the cursor past them.
func (l *Loop) window() ([]*dataset.Batch, error) {
	if err := l.seek(); err != nil {
		return nil, err
	}
	end := min(l.p.MicroBatch+l.Options.Accum, l.batches.Len())
	var out []*dataset.Batch
	for ; l.p.MicroBatch < end; l.p.MicroBatch++ {
		out = append(out, l.batches.Batch(l.p.MicroBatch))
	}
	return out, nil
}

// seek moves the cursor to the next epoch that has anything left.
func (l *Loop) seek() error {
	for range mostEmptyEpochs {
		if l.p.MicroBatch < l.batches.Len() {
			return nil
		}
		l.p.Epoch++
		l.p.MicroBatch = 0
		if err := l.layOut(); err != nil {
			return err
		}
	}
	return errNoBatches
}

// layOut makes the batches of the cursor's epoch.
func (l *Loop) layOut() (err error) {
	if l.batches, err = l.Data(l.p.Epoch); err != nil {
		return fmt.Errorf("lay out epoch %d: %w", l.p.Epoch, err)
	}
	return nil
}

// epoch is the number of epochs done, with the fraction of the current one.
func (l *Loop) epoch() float64 {
	if l.batches.Len() == 0 {
		return float64(l.p.Epoch)
	}
	return float64(l.p.Epoch) + float64(l.p.MicroBatch)/float64(l.batches.Len())
}
