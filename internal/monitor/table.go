package monitor

import (
	"math"
	"slices"
	"sort"
)

// Axis is what a chart's x can be.
type Axis string

// The axes: optimizer steps, seconds since the first report, trained tokens.
const (
	ByStep   Axis = "step"
	ByTime   Axis = "time"
	ByTokens Axis = "tokens"
)

// Axes are all of them.
var Axes = []Axis{ByStep, ByTime, ByTokens}

// table holds the rows of a run by column. A column that has no figure yet is
// nil; gaps in a column are NaN. Every x ascends. Columns are of 32 bits, as in
// TensorBoard; what is printed as a number keeps its 64.
type table struct {
	steps, times, tokens []float64
	columns              [metricCount][]float32

	total, epoch, eta float64 // of the newest row that tells
	best, bestStep    float64 // lowest evaluation loss so far
	newest            [metricCount]float64
}

func newTable() *table {
	t := &table{total: math.NaN(), epoch: math.NaN(), eta: math.NaN(), best: math.NaN(), bestStep: math.NaN()}
	for i := range t.newest {
		t.newest[i] = math.NaN()
	}
	return t
}

func (t *table) rows() int { return len(t.steps) }

// add appends r. A second row of a step adds its figures to the first: an
// evaluation repeats its step's report. An earlier step than the last is a
// resume that appended to the file: the steps from there on are run again, so
// their rows go.
func (t *table) add(r row) {
	if n := t.rows(); n > 0 && r.step < t.steps[n-1] {
		t.cut(sort.SearchFloat64s(t.steps, r.step))
	}
	n := t.rows()
	if n == 0 || t.steps[n-1] != r.step {
		t.steps = append(t.steps, r.step)
		t.times = append(t.times, ascending(t.times, r.time))
		t.tokens = append(t.tokens, ascending(t.tokens, r.tokens))
		n++
	}
	for m, v := range r.values {
		t.put(Metric(m), n, v)
	}
	t.remember(r)
}

// ascending is v, or the last of xs where v is missing or less: a clock may be
// set back.
func ascending(xs []float64, v float64) float64 {
	if len(xs) == 0 {
		if math.IsNaN(v) {
			return 0
		}
		return v
	}
	last := xs[len(xs)-1]
	if v > last {
		return v
	}
	return last
}

var nan32 = float32(math.NaN())

// narrow keeps what 32 bits cannot hold as the largest that they can.
func narrow(v float64) float32 { return float32(max(-math.MaxFloat32, min(v, math.MaxFloat32))) }

// put sets the last of n rows of a column.
func (t *table) put(m Metric, n int, v float64) {
	column := t.columns[m]
	missing := v != v
	if column == nil && missing {
		return
	}
	for len(column) < n {
		column = append(column, nan32)
	}
	if !missing {
		column[n-1] = narrow(v)
		t.newest[m] = v
	}
	t.columns[m] = column
}

func (t *table) remember(r row) {
	keep(&t.total, r.total)
	keep(&t.epoch, r.epoch)
	keep(&t.eta, r.eta)
	t.judge(r.values[EvalLoss], r.step)
}

// judge remembers an evaluation if it is the best so far.
func (t *table) judge(loss, step float64) {
	if loss == loss && !(loss >= t.best) {
		t.best, t.bestStep = loss, step
	}
}

func keep(p *float64, v float64) {
	if !math.IsNaN(v) {
		*p = v
	}
}

// cut keeps the first n rows.
func (t *table) cut(n int) {
	kept := newTable()
	kept.total = t.total
	kept.steps, kept.times, kept.tokens = t.steps[:n], t.times[:n], t.tokens[:n]
	for m, column := range t.columns {
		kept.columns[m] = column[:min(n, len(column))]
		for _, v := range slices.Backward(kept.columns[m]) {
			if v == v {
				kept.newest[m] = float64(v)
				break
			}
		}
	}
	for i, v := range kept.columns[EvalLoss] {
		kept.judge(float64(v), kept.steps[i])
	}
	*t = *kept
}

// x is the column of an axis. Times are absolute.
func (t *table) x(a Axis) []float64 {
	switch a {
	case ByTime:
		return t.times
	case ByTokens:
		return t.tokens
	}
	return t.steps
}

// origin is what is taken off every x of an axis.
func (t *table) origin(a Axis) float64 {
	if a == ByTime && len(t.times) > 0 {
		return t.times[0]
	}
	return 0
}
