package perf

import "math"

// Rate is a speed in tokens per second over several rounds.
type Rate struct {
	Tokens int       `json:"tokens"` // of one round
	Mean   float64   `json:"mean"`
	Stddev float64   `json:"stddev"` // of the sample; 0 for one round
	Rounds []float64 `json:"rounds"`
}

func newRate(tokens int, rounds []float64) *Rate {
	r := &Rate{Tokens: tokens, Rounds: rounds}
	for _, v := range rounds {
		r.Mean += v / float64(len(rounds))
	}
	if len(rounds) < 2 {
		return r
	}
	var squares float64
	for _, v := range rounds {
		squares += (v - r.Mean) * (v - r.Mean)
	}
	r.Stddev = math.Sqrt(squares / float64(len(rounds)-1))
	return r
}
