package train

import (
	"fmt"

	"github.com/qlora/qlora/internal/checkpoint"
)

// save writes a checkpoint of the current step unless the newest one already
// holds it, and deletes those that are no longer kept. Ranks other than 0 hold
// their weights to those that rank 0 writes.
func (l *Loop) save() error {
	now := savedAs{step: l.p.Step, evalStep: l.p.EvalStep, path: l.saved.path}
	if now == l.saved {
		return nil
	}
	state, err := l.Engine.State()
	if err != nil {
		return fmt.Errorf("read the state of step %d: %w", l.p.Step, err)
	}
	if err := l.sameWeights(state); err != nil {
		return err
	}
	if !l.Group.Leads() {
		now.path = l.Store.Path(l.p.Step)
		l.saved = now
		return nil
	}
	var extras []checkpoint.Extra
	if l.Extras != nil {
		extras = l.Extras(state)
	}
	if now.path, err = l.Store.Save(l.p, state, extras...); err != nil {
		return err
	}
	l.saved = now
	if err := l.Store.Prune(l.Options.KeepLast); err != nil {
		return err
	}
	best := l.p.EvalStep == l.p.Step && l.p.BestStep == l.p.Step && l.p.Step > 0
	return fire(l.hooks.save, Saved{Step: l.p.Step, Path: now.path, Best: best})
}

// interrupt saves and says so, on all ranks once rank 0 has written.
func (l *Loop) interrupt() error {
	if err := l.save(); err != nil {
		return fmt.Errorf("interrupted after step %d, and saving failed: %w", l.p.Step, err)
	}
	if err := l.Group.Barrier(); err != nil {
		return err
	}
	return &Interrupted{Step: l.p.Step, Checkpoint: l.saved.path}
}
