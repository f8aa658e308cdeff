// Package checkpoint saves and loads everything a training run needs to go on
// as if it had never stopped: the trained weights, both AdamW moments and the
// loop's own bookkeeping.
//
// A checkpoint is a directory checkpoint-N, N the number of finished steps:
//
//	params.f32    trained weights, in the order of the layout in state.json
//	moments.f32   first and second AdamW moments, same order
//	state.json    Progress and the layout
//	DONE          size and CRC-32C of every other file; written last
//
// It is built as checkpoint-N.tmp, synced, renamed and only then given its
// marker, so that a crash at any point leaves every older checkpoint loadable
// and the unfinished one recognisable. The package is pure Go.
package checkpoint

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Param is one trained tensor and its place in the flat vectors of a State,
// counted in elements.
type Param struct {
	Name   string  `json:"name"`
	Dims   []int64 `json:"dims"` // ggml order, Dims[0] contiguous
	Offset int     `json:"offset"`
	Len    int     `json:"len"`
}

// State is what an optimiser step changes: the trained weights and both AdamW
// moments, three vectors of one length that Params divides.
type State struct {
	Params        []Param
	Weights, M, V []float32
	LossScale     *LossScale // nil where losses are not scaled
}

// LossScale is what losses are multiplied by before their gradient is computed,
// and the steps in a row that went well with it.
type LossScale struct {
	Scale float64 `json:"scale"`
	Good  int     `json:"good_steps"`
}

// ErrLayout marks a state that does not fit where it is to go.
var ErrLayout = errors.New("layout of trained tensors differs")

// Check verifies that the parameters lie inside the vectors without overlap,
// that each length is the product of its dimensions, that the three vectors
// have one length and that a loss scale is a number from 1 on.
func (s *State) Check() error {
	n := len(s.Weights)
	if len(s.M) != n || len(s.V) != n {
		return fmt.Errorf("%d weights, %d first and %d second moments: the counts must be equal", n, len(s.M), len(s.V))
	}
	if l := s.LossScale; l != nil && (!(l.Scale >= 1) || math.IsInf(l.Scale, 0) || l.Good < 0) {
		return fmt.Errorf("loss scale %g after %d good steps: out of range", l.Scale, l.Good)
	}
	return checkLayout(s.Params, n)
}

func checkLayout(params []Param, total int) error {
	end := 0
	for _, p := range params {
		if p.Offset < end || p.Len < 0 || p.Len > total-p.Offset {
			return fmt.Errorf("%s: elements %d+%d do not follow on %d of %d", p.Name, p.Offset, p.Len, end, total)
		}
		if n, ok := elements(p.Dims); !ok || n != int64(p.Len) {
			return fmt.Errorf("%s: dimensions %v do not hold %d elements", p.Name, p.Dims, p.Len)
		}
		end = p.Offset + p.Len
	}
	return nil
}

// elements multiplies dims, false on a negative one or overflow.
func elements(dims []int64) (int64, bool) {
	n := int64(1)
	for _, d := range dims {
		if d < 0 || (d > 0 && n > (1<<62)/d) {
			return 0, false
		}
		n *= d
	}
	return n, true
}

// SameLayout tells whether a state laid out as have fits one laid out as want.
// The error wraps ErrLayout and names the first tensor that differs.
func SameLayout(have, want []Param) error {
	for i := range min(len(have), len(want)) {
		h, w := have[i], want[i]
		if h.Name != w.Name || h.Offset != w.Offset || h.Len != w.Len || !slices.Equal(h.Dims, w.Dims) {
			return fmt.Errorf("%w: tensor %d is %s %v, expected %s %v", ErrLayout, i, h.Name, h.Dims, w.Name, w.Dims)
		}
	}
	if len(have) != len(want) {
		return fmt.Errorf("%w: %d tensors, expected %d", ErrLayout, len(have), len(want))
	}
	return nil
}
