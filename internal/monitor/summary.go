package monitor

import (
	"math"
	"time"

	"github.com/qlora/qlora/internal/runlog"
)

// Summary is a run in a line of a table. Figures that are not known are nil,
// and null in JSON.
type Summary struct {
	Run          string       `json:"run"`
	State        runlog.State `json:"state"`
	Error        string       `json:"error,omitempty"`
	Step         *float64     `json:"step"`
	TotalSteps   *float64     `json:"total_steps"`
	Epoch        *float64     `json:"epoch"`
	ETASeconds   *float64     `json:"eta_seconds"`
	Loss         *float64     `json:"loss"`
	EvalLoss     *float64     `json:"eval_loss"`
	BestEvalLoss *float64     `json:"best_eval_loss"`
	BestStep     *float64     `json:"best_step"`
	TokensPerSec *float64     `json:"tokens_per_second"`
	Adapter      string       `json:"adapter"` // of the best evaluation where there is one
	Started      time.Time    `json:"started"`
	Updated      time.Time    `json:"updated"`
	BadLines     int          `json:"bad_lines,omitempty"` // of metrics.jsonl, left out
	Problem      string       `json:"problem,omitempty"`   // what could not be read, and why
}

// Unknown is the state of a run whose folder has no status.json.
const Unknown runlog.State = "unknown"

// pageSummary is what the page needs to know beyond that.
type pageSummary struct {
	Summary
	Rows    int                 `json:"rows"`    // 0: there is nothing to draw yet
	Loading bool                `json:"loading"` // rows are a preview, or none
	Metrics []string            `json:"metrics"` // those with a figure
	Ranges  map[Axis][2]float64 `json:"ranges"`  // first and last x
	Samples int64               `json:"samples"` // bytes of samples.jsonl: 0 for none, other bytes for other samples
	Config  int64               `json:"config"`  // version of config.yaml: 0 for none, another for other settings
}

func (r *run) summary() Summary {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.current()
	bad, _ := r.badLines()
	s := Summary{Run: r.name, State: r.status.State, Error: r.status.Error, Started: r.status.Started, Updated: r.status.Updated,
		TotalSteps: known(t.total), Epoch: known(t.epoch), ETASeconds: known(t.eta),
		Loss: known(t.newest[Loss]), EvalLoss: known(t.newest[EvalLoss]), TokensPerSec: known(t.newest[TokensPerSecond]),
		BestEvalLoss: known(t.best), BestStep: known(t.bestStep), Adapter: r.result.BestAdapter,
		BadLines: bad, Problem: r.problem()}
	if s.State == "" {
		s.State = Unknown
	}
	if s.Adapter == "" {
		s.Adapter = r.result.Adapter
	}
	if n := t.rows(); n > 0 {
		s.Step = known(t.steps[n-1])
		if last := t.times[n-1]; last > 0 {
			s.Updated = later(s.Updated, time.UnixMilli(int64(last*1e3)))
		}
	}
	if done := float64(r.status.Step); done > 0 && (s.Step == nil || done > *s.Step) {
		s.Step = &done // done after the last report
	}
	return s
}

func (r *run) pageSummary() pageSummary {
	s := pageSummary{Summary: r.summary(), Metrics: []string{}, Ranges: map[Axis][2]float64{}}
	r.mu.RLock()
	defer r.mu.RUnlock()
	t := r.current()
	s.Rows, s.Loading, s.Samples, s.Config = t.rows(), !r.loaded, r.samples, r.config
	for m, column := range t.columns {
		if column != nil {
			s.Metrics = append(s.Metrics, metricNames[m])
		}
	}
	for _, axis := range Axes {
		if x, origin := t.x(axis), t.origin(axis); len(x) > 0 {
			s.Ranges[axis] = [2]float64{x[0] - origin, x[len(x)-1] - origin}
		}
	}
	return s
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b.UTC()
	}
	return a
}

func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}
