// Package train runs the optimisation: it walks the batches, drives an Engine,
// evaluates, saves checkpoints and stops, and tells hooks what happened.
//
// What a run computes is a pure function of its data, options and seed: the
// order of batches, the dropout masks and the learning rate all follow from
// the step number. A run that continues from a checkpoint therefore ends in
// the same bytes as one that was never interrupted.
//
// The package is pure Go and knows neither ggml nor the terminal.
package train

import (
	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
)

// Engine computes. It holds the weights, the gradient and the optimiser's
// moments.
type Engine interface {
	// Accumulate runs one micro-batch forward and backward and adds scale
	// times the gradient of the sum of its token losses to the gradient. It
	// returns that sum in nats. Equal seeds give equal dropout masks.
	Accumulate(b *dataset.Batch, scale float32, seed uint64) (lossSum float64, err error)
	// Step clips the gradient to norm clip (0: not at all), applies AdamW with
	// bias correction for update t = 1, 2, ... and zeroes the gradient. It
	// returns the norm before clipping. Where that is not finite, weights and
	// moments stay as they are and the loss scale, if any, is lowered.
	Step(t int, lr, clip float64) (gradNorm float64, err error)
	// LossScale is what losses are multiplied by before their gradient is
	// computed, so that it fits 16 bits; 0 where they are not.
	LossScale() float64
	// Eval returns the sum of token losses over the targets of b, without a
	// gradient and without dropout.
	Eval(b *dataset.Batch) (lossSum float64, err error)
	// State returns a copy of everything Step changes.
	State() (*checkpoint.State, error)
	// Restore puts a State back; it fails when the layout differs.
	Restore(*checkpoint.State) error
	Close() error
}

// Batches is a fixed sequence of micro-batches; *dataset.Plan is one.
type Batches interface {
	Len() int
	Batch(i int) *dataset.Batch
}

// Source lays out the epochs of the training data, counted from 0. Equal
// epochs must give equal batches.
type Source func(epoch int) (Batches, error)

// realTokens counts the positions of b that hold a token of a sample. Padding
// is the segments of one position, which cannot carry loss.
func realTokens(b *dataset.Batch) int64 {
	n := int64(0)
	for i := range b.Segments {
		next := i+1 < len(b.Segments) && b.Segments[i+1] == b.Segments[i]
		if next || int(b.Segments[i]) != i {
			n++
		}
	}
	return n
}
