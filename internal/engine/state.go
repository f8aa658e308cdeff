package engine

import (
	"fmt"
	"slices"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/ggml"
)

// State copies everything that training has changed.
func (e *Engine) State() (*checkpoint.State, error) {
	s := &checkpoint.State{Params: slices.Clone(e.t.params), LossScale: e.scale.state()}
	for _, v := range []struct {
		to   *[]float32
		from *ggml.Tensor
	}{{&s.Weights, e.t.w}, {&s.M, e.t.m}, {&s.V, e.t.v}} {
		*v.to = make([]float32, e.t.n)
		if err := v.from.GetF32(0, *v.to); err != nil {
			return nil, fmt.Errorf("copy training state: %w", err)
		}
	}
	return s, nil
}

// Restore puts a state of the same layout back and clears the gradient.
func (e *Engine) Restore(s *checkpoint.State) error {
	if len(s.Params) != len(e.t.params) {
		return fmt.Errorf("restore training state: it has %d parameters, this run trains %d", len(s.Params), len(e.t.params))
	}
	for i, p := range s.Params {
		if mine := e.t.params[i]; p.Name != mine.Name || p.Offset != mine.Offset || !slices.Equal(p.Dims, mine.Dims) {
			return fmt.Errorf("restore training state: parameter %d is %s %v, this run trains %s %v", i, p.Name, p.Dims, mine.Name, mine.Dims)
		}
	}
	for _, v := range []struct {
		from []float32
		to   *ggml.Tensor
	}{{s.Weights, e.t.w}, {s.M, e.t.m}, {s.V, e.t.v}} {
		if int64(len(v.from)) != e.t.n {
			return fmt.Errorf("restore training state: a vector of %d values, want %d", len(v.from), e.t.n)
		}
		if err := v.to.SetF32(0, v.from); err != nil {
			return err
		}
	}
	e.scale.restore(s.LossScale)
	e.t.g.Zero()
	return nil
}

// Gradients copies the accumulated gradient, laid out as State's vectors.
func (e *Engine) Gradients() ([]float32, error) {
	out := make([]float32, e.t.n)
	err := e.t.g.GetF32(0, out)
	for i, scale := 0, float32(e.scale.factor()); i < len(out) && scale != 1; i++ {
		out[i] /= scale
	}
	return out, err
}
