package runlog

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Metrics is one line of metrics.jsonl: the state of a run after a step.
type Metrics struct {
	Step                   int       `json:"step"`
	TotalSteps             int       `json:"total_steps,omitempty"`
	Epoch                  float64   `json:"epoch"` // passes over the data so far
	Loss                   float64   `json:"loss"`  // mean over trained tokens, nats
	GradNorm               float64   `json:"grad_norm"`
	LR                     float64   `json:"learning_rate"`
	TokensPerSecond        float64   `json:"tokens_per_second"`
	TrainedTokensPerSecond float64   `json:"trained_tokens_per_second"` // of them those with loss
	ETASeconds             float64   `json:"eta_seconds"`
	TrainedTokens          int64     `json:"trained_tokens"` // tokens with loss, since step 1
	EvalLoss               *float64  `json:"eval_loss,omitempty"`
	LossScale              float64   `json:"loss_scale,omitempty"`    // where losses are scaled for F16
	SkippedSteps           int       `json:"skipped_steps,omitempty"` // of the run, whose gradient overflowed F16
	RSSBytes               uint64    `json:"rss_bytes"`
	PeakRSSBytes           uint64    `json:"peak_rss_bytes,omitempty"` // highest so far
	VRAMBytes              uint64    `json:"vram_bytes"`               // of this process, on all devices
	GPUs                   []GPU     `json:"gpus,omitempty"`
	Time                   time.Time `json:"time"`
}

// plainMetrics has the fields of Metrics without its methods.
type plainMetrics Metrics

// wireMetrics shadows the numbers that can go wrong: JSON has no NaN and no
// infinity, so they travel as null.
type wireMetrics struct {
	plainMetrics
	Loss                   *float64 `json:"loss"`
	GradNorm               *float64 `json:"grad_norm"`
	LR                     *float64 `json:"learning_rate"`
	TokensPerSecond        *float64 `json:"tokens_per_second"`
	ETASeconds             *float64 `json:"eta_seconds"`
	EvalLoss               *float64 `json:"eval_loss,omitempty"`
	TrainedTokensPerSecond *float64 `json:"trained_tokens_per_second"`
}

// MarshalJSON writes numbers that are not finite as null.
func (m Metrics) MarshalJSON() ([]byte, error) {
	w := wireMetrics{
		plainMetrics: plainMetrics(m),
		Loss:         finite(m.Loss), GradNorm: finite(m.GradNorm), LR: finite(m.LR),
		TokensPerSecond: finite(m.TokensPerSecond), TrainedTokensPerSecond: finite(m.TrainedTokensPerSecond), ETASeconds: finite(m.ETASeconds),
	}
	if m.EvalLoss != nil {
		w.EvalLoss = finite(*m.EvalLoss)
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads null, or an absent number, as NaN. An absent step stays as
// it was.
func (m *Metrics) UnmarshalJSON(data []byte) error {
	w := wireMetrics{plainMetrics: plainMetrics{Step: m.Step}}
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("decode metrics: %w", err)
	}
	*m = Metrics(w.plainMetrics)
	m.Loss, m.GradNorm, m.LR = orNaN(w.Loss), orNaN(w.GradNorm), orNaN(w.LR)
	m.TokensPerSecond, m.ETASeconds = orNaN(w.TokensPerSecond), orNaN(w.ETASeconds)
	m.TrainedTokensPerSecond = orNaN(w.TrainedTokensPerSecond)
	m.EvalLoss = w.EvalLoss
	return nil
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func orNaN(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// String is the status line that train prints and logs repeats. A report made
// before the first step has an evaluation and no loss of training.
func (m Metrics) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "step %d", m.Step)
	if m.TotalSteps > 0 {
		fmt.Fprintf(&b, "/%d", m.TotalSteps)
	}
	trained := m.EvalLoss == nil || !math.IsNaN(m.Loss)
	if trained {
		fmt.Fprintf(&b, "  loss %.4f", m.Loss)
	}
	if m.EvalLoss != nil {
		fmt.Fprintf(&b, "  eval %.4f", *m.EvalLoss)
	}
	if trained {
		fmt.Fprintf(&b, "  grad %.3g  lr %.3g  %.1f tok/s  eta %s", m.GradNorm, m.LR, m.TokensPerSecond, eta(m.ETASeconds))
	}
	fmt.Fprintf(&b, "  rss %s", humanize.IBytes(m.RSSBytes))
	if m.VRAMBytes > 0 {
		fmt.Fprintf(&b, "  vram %s", humanize.IBytes(m.VRAMBytes))
	}
	return b.String()
}

// eta is a duration to the second, or "?" when the speed is not known.
func eta(seconds float64) string {
	const century = 100 * 365 * 24 * 3600
	if !(seconds >= 0 && seconds < century) {
		return "?"
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
