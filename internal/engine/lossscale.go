package engine

import (
	"math"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/ggml"
)

// The settings of torch.amp.GradScaler, with a lower bound.
const (
	initialLossScale = 65536
	lossScaleFactor  = 2
	lossScaleGrowth  = 2000 // good steps before the scale grows
)

// lossScale is dynamic loss scaling (Micikevicius et al. 2018): in F16 small gradients would round to zero, so losses are
// multiplied by a power of two, which is halved when a gradient is too large for F16 and doubled after many that were not.
// The accumulated gradient is scaled with it until AdamW reads it. The zero value scales nothing.
type lossScale struct {
	scale float64 // 0: not scaled
	good  int
}

// newLossScale is the scale that activations of type t begin with; BF16 has the range of F32 and needs none.
func newLossScale(t ggml.Type) lossScale {
	if t == ggml.F16 {
		return lossScale{scale: initialLossScale}
	}
	return lossScale{}
}

// factor is what losses are multiplied by.
func (l *lossScale) factor() float64 {
	if l.scale == 0 {
		return 1
	}
	return l.scale
}

// update takes account of a step whose gradient was finite or not.
func (l *lossScale) update(finite bool) {
	switch {
	case l.scale == 0:
	case !finite:
		l.scale, l.good = math.Max(1, l.scale/lossScaleFactor), 0
	default:
		if l.good++; l.good == lossScaleGrowth {
			l.scale, l.good = l.scale*lossScaleFactor, 0
		}
	}
}

// state is what a checkpoint keeps.
func (l *lossScale) state() *checkpoint.LossScale {
	if l.scale == 0 {
		return nil
	}
	return &checkpoint.LossScale{Scale: l.scale, Good: l.good}
}

// restore goes on from s; a state from before there was a scale, and one of another precision, say nothing about it.
func (l *lossScale) restore(s *checkpoint.LossScale) {
	if l.scale != 0 && s != nil {
		l.scale, l.good = s.Scale, s.Good
	}
}

// LossScale is what losses are multiplied by before their gradient is computed, 0 where they are not: only activations in
// F16 need it.
func (e *Engine) LossScale() float64 { return e.scale.scale }
