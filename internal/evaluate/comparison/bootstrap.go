package comparison

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Interval is a confidence interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Options are the settings of a comparison's intervals. Equal options and
// figures give equal intervals.
type Options struct {
	Seed      uint64
	Resamples int     // of the bootstrap, at least 100
	Level     float64 // such as 0.95
}

// ratioOfSums is a mean in which each sample has a weight: the sum of all
// values over the sum of all weights, as a loss per token is.
type ratioOfSums struct{ values, weights []float64 }

func (r ratioOfSums) add(value, weight float64) ratioOfSums {
	return ratioOfSums{append(r.values, value), append(r.weights, weight)}
}

func (r ratioOfSums) mean() float64 {
	var value, weight float64
	for i := range r.values {
		value, weight = value+r.values[i], weight+r.weights[i]
	}
	return value / weight
}

// bootstrap is the percentile interval of the mean (Efron 1979): samples are
// drawn with replacement, each with its value and weight, so that for
// differences of two models the pairing holds. With fewer than two samples
// there is no interval.
func (r ratioOfSums) bootstrap(o Options) *Interval {
	n := len(r.values)
	if n < 2 {
		return nil
	}
	rng := rand.New(rand.NewPCG(o.Seed, uint64(n)))
	means := make([]float64, o.Resamples)
	for i := range means {
		var value, weight float64
		for range n {
			j := rng.IntN(n)
			value, weight = value+r.values[j], weight+r.weights[j]
		}
		means[i] = value / weight
	}
	slices.Sort(means)
	tail := (1 - o.Level) / 2
	return &Interval{Low: quantile(means, tail), High: quantile(means, 1-tail)}
}

// quantile interpolates between the order statistics of sorted.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below := int(math.Floor(at))
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}

// Difference is by how much a figure is above the base's.
type Difference struct {
	Mean     float64   `json:"mean"`
	Interval *Interval `json:"interval"` // null with fewer than two samples
}

func (r ratioOfSums) difference(o Options) Difference {
	return Difference{Mean: r.mean(), Interval: r.bootstrap(o)}
}

// Text prints a difference with its interval, all times scale; "-" when there is none.
func (d *Difference) Text(format string, scale float64) string {
	if d == nil {
		return "-"
	}
	text := fmt.Sprintf(format, scale*d.Mean)
	if d.Interval != nil {
		text += fmt.Sprintf(" ("+format+" to "+format+")", scale*d.Interval.Low, scale*d.Interval.High)
	}
	return text
}

// Above says that all of the interval lies above zero.
func (d Difference) Above() bool { return d.Interval != nil && d.Interval.Low > 0 }

// Below says that all of the interval lies below zero.
func (d Difference) Below() bool { return d.Interval != nil && d.Interval.High < 0 }
