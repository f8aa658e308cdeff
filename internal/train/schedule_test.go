package train

import (
	"math"
	"testing"
)

func TestScheduleValues(t *testing.T) {
	base := Schedule{Peak: 1, Floor: 0.2, Warmup: 2, Total: 10}
	linear := func(i int) float64 { return 0.2 + 0.8*(1-float64(i)/8) }
	cosine := func(i int) float64 { return 0.2 + 0.4*(1+math.Cos(math.Pi*float64(i)/8)) }
	for kind, want := range map[string][]float64{
		"constant": {0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
		"linear":   {0.5, 1, 1, linear(1), linear(2), linear(3), linear(4), linear(5), linear(6), linear(7), 0.2},
		"cosine":   {0.5, 1, 1, cosine(1), cosine(2), cosine(3), cosine(4), cosine(5), cosine(6), cosine(7), 0.2},
		"wsd":      {0.5, 1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2},
	} {
		s := base
		s.Kind, s.Decay = kind, 4
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		for i, w := range want {
			if got := s.At(i + 1); math.Abs(got-w) > 1e-12 {
				t.Errorf("%s step %d: %g, want %g", kind, i+1, got, w)
			}
		}
	}
}

// Whatever the numbers, rates stay between 0 and the peak, no step has a rate
// of zero, and after the warm-up they never rise or go below the floor.
func TestScheduleBounds(t *testing.T) {
	for _, kind := range Schedules {
		for total := range 30 {
			for warmup := range 35 {
				s := Schedule{Kind: kind, Peak: 3, Floor: 0.5, Warmup: warmup, Decay: total / 2, Total: total}
				before := s.Peak
				for step := 1; step <= total; step++ {
					lr := s.At(step)
					if !(lr > 0) || lr > s.Peak || (step > warmup && (lr > before || lr < s.Floor)) {
						t.Fatalf("%s step %d: %g after %g", s, step, lr, before)
					}
					if step > warmup {
						before = lr
					}
				}
			}
		}
	}
}

func TestSharesOfSteps(t *testing.T) {
	o := Options{Schedule: Schedule{Kind: "wsd"}, WarmupShare: 0.03, DecayShare: 0.1}
	if s := o.scheduleFor(101); s.Warmup != 4 || s.Decay != 11 || s.Total != 101 {
		t.Errorf("%+v", s)
	}
	o.Schedule.Warmup, o.Schedule.Decay = 1, 2
	if s := o.scheduleFor(101); s.Warmup != 1 || s.Decay != 2 {
		t.Errorf("%+v", s)
	}
}
