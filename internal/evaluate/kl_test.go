package evaluate

import (
	"math"
	"testing"
)

// TestDriftWithForbiddenTokens: a token of probability zero in both adds
// nothing, where 0 times infinity would be no number.
func TestDriftWithForbiddenTokens(t *testing.T) {
	never := float32(math.Inf(-1))
	d := driftOf([]float32{1, never, 1}, []float32{1, never, 1}, 0)
	if d.KL != 0 || math.Abs(d.Nats-math.Ln2) > 1e-6 || d.Same != 1 {
		t.Errorf("%+v", d)
	}
	if d := driftOf([]float32{1, 1}, []float32{1, never}, 0); !math.IsInf(d.KL, 1) {
		t.Errorf("what the base says and the model never: %+v", d)
	}
}
