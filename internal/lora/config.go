package lora

import (
	"fmt"
	"math"
)

// Config describes an adapter to be trained.
type Config struct {
	Rank    int     // r, at least 1
	Alpha   float64 // numerator of the scale
	Dropout float64 // share of x that is dropped before A, in [0, 1)
	RSLoRA  bool    // scale by alpha/sqrt(r) in place of alpha/r
	Target  string  // what to adapt: see Targets
}

// Scale is the factor of B·A.
func (c Config) Scale() float64 {
	if c.RSLoRA {
		return c.Alpha / math.Sqrt(float64(c.Rank))
	}
	return c.Alpha / float64(c.Rank)
}

// FileAlpha is the alpha to store in an adapter file. llama.cpp always divides
// it by the rank, so a rank-stabilised adapter stores alpha·sqrt(r).
func (c Config) FileAlpha() float64 { return c.Scale() * float64(c.Rank) }

// Check refuses values that cannot train.
func (c Config) Check() error {
	switch {
	case c.Rank < 1:
		return fmt.Errorf("lora rank is %d, want at least 1", c.Rank)
	case !(c.Alpha > 0) || math.IsInf(c.Alpha, 0):
		return fmt.Errorf("lora alpha is %g, want a positive number", c.Alpha)
	case !(c.Dropout >= 0 && c.Dropout < 1):
		return fmt.Errorf("lora dropout is %g, want 0 or more and less than 1", c.Dropout)
	}
	return nil
}
