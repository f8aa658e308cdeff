package train

import (
	"fmt"
	"math"
	"strings"
)

// Schedules are the names that Schedule.Kind takes.
var Schedules = []string{"constant", "linear", "cosine", "wsd"}

// Schedule is a learning rate as a function of the step.
//
// It rises linearly to Peak over the first Warmup steps, the last of which has
// Peak. After that, constant stays there; linear and cosine fall towards Floor
// over the remaining steps; wsd (warm-up, stable, decay) stays until the last
// Decay steps and falls linearly over those. Floor would be reached one step
// after the last, so that no step is wasted at a rate of zero.
type Schedule struct {
	Kind   string
	Peak   float64
	Floor  float64
	Warmup int
	Decay  int // wsd alone
	Total  int
}

// Check says what is wrong with s.
func (s Schedule) Check() error {
	switch {
	case !knownSchedule(s.Kind):
		return fmt.Errorf("unknown schedule %q: it is one of %s", s.Kind, strings.Join(Schedules, ", "))
	case !(s.Peak > 0) || math.IsInf(s.Peak, 0):
		return fmt.Errorf("learning rate %g: it must be positive", s.Peak)
	case !(s.Floor >= 0) || s.Floor > s.Peak:
		return fmt.Errorf("lowest learning rate %g: it must lie between 0 and the learning rate %g", s.Floor, s.Peak)
	case s.Warmup < 0 || s.Decay < 0 || s.Total < 0:
		return fmt.Errorf("%d warm-up, %d decay and %d steps in all: none can be negative", s.Warmup, s.Decay, s.Total)
	}
	return nil
}

func knownSchedule(kind string) bool {
	for _, k := range Schedules {
		if k == kind {
			return true
		}
	}
	return false
}

// At is the learning rate of step, counted from 1.
func (s Schedule) At(step int) float64 {
	if step <= s.Warmup {
		return s.Peak * float64(step) / float64(s.Warmup)
	}
	switch s.Kind {
	case "linear":
		return s.fall(1 - s.progress(step, s.Warmup))
	case "cosine":
		return s.fall((1 + math.Cos(math.Pi*s.progress(step, s.Warmup))) / 2)
	case "wsd":
		return s.fall(1 - s.progress(step, max(s.Warmup, s.Total-s.Decay)))
	}
	return s.Peak
}

// progress is the part of the steps after start that lies before step: 0 at
// start+1, 1 past the end.
func (s Schedule) progress(step, start int) float64 {
	if step <= start+1 || s.Total <= start {
		return 0
	}
	return min(1, float64(step-1-start)/float64(s.Total-start))
}

// fall is the rate at share of the way from Floor up to Peak.
func (s Schedule) fall(share float64) float64 { return s.Floor + (s.Peak-s.Floor)*share }

// String describes s in one line, for the checkpoint and the log.
func (s Schedule) String() string {
	text := fmt.Sprintf("%s peak=%g floor=%g warmup=%d total=%d", s.Kind, s.Peak, s.Floor, s.Warmup, s.Total)
	if s.Kind == "wsd" {
		text += fmt.Sprintf(" decay=%d", s.Decay)
	}
	return text
}
