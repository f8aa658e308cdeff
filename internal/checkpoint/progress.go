package checkpoint

// Progress is the loop's bookkeeping between two optimiser steps. Everything
// a continued run does follows from it, the State and the run's settings:
// batches and dropout masks are pure functions of seed, epoch and step.
type Progress struct {
	Step       int    `json:"step"`        // finished steps, skipped ones included
	Updates    int    `json:"updates"`     // optimiser updates; AdamW's t
	Epoch      int    `json:"epoch"`       // epoch of the next micro-batch, from 0
	MicroBatch int    `json:"micro_batch"` // the next micro-batch within Epoch
	Seed       uint64 `json:"seed"`

	// Overflows counts the steps whose gradient overflowed 16 bits, so that
	// nothing was updated; OverflowsInRow those since the newest update.
	Overflows      int `json:"overflows,omitempty"`
	OverflowsInRow int `json:"overflows_in_a_row,omitempty"`

	// EvalStep is the step of the newest finished evaluation, -1 before the
	// first; EvalLoss is its result.
	EvalStep int      `json:"eval_step"`
	EvalLoss *float64 `json:"eval_loss,omitempty"`
	// FirstEvalLoss is the evaluation before training.
	FirstEvalLoss *float64 `json:"first_eval_loss,omitempty"`
	BestEvalLoss  *float64 `json:"best_eval_loss,omitempty"`
	BestStep      int      `json:"best_step"`
	BadEvals      int      `json:"bad_evals"` // evaluations since the best one, for early stop

	// Window holds the sums since the newest report, Total those since the
	// start of the run.
	Window Sums `json:"window"`
	Total  Sums `json:"total"`

	// Schedule describes the learning rate schedule in words and numbers.
	Schedule string `json:"schedule"`
	// Settings are those that decide what is computed, by name; a resumed run
	// compares them and names the ones that differ. ConfigHash is their digest.
	Settings        map[string]string `json:"settings,omitempty"`
	ConfigHash      string            `json:"config_hash"`
	DataFingerprint string            `json:"data_fingerprint"`
}

// Sums accumulates training figures.
type Sums struct {
	Steps   int     `json:"steps"`
	Loss    float64 `json:"loss"`    // sum of token losses, nats
	Trained int64   `json:"trained"` // tokens with loss
	Tokens  int64   `json:"tokens"`  // all positions computed, padding included
	Seconds float64 `json:"seconds"` // time spent in steps; the one field that differs between equal runs
}

// MeanLoss is the loss per trained token, 0 when there was none.
func (s Sums) MeanLoss() float64 {
	if s.Trained == 0 {
		return 0
	}
	return s.Loss / float64(s.Trained)
}

// Add includes o in the sums.
func (s *Sums) Add(o Sums) {
	s.Steps += o.Steps
	s.Loss += o.Loss
	s.Trained += o.Trained
	s.Tokens += o.Tokens
	s.Seconds += o.Seconds
}
