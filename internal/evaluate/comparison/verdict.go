package comparison

import (
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize/english"
)

// Verdict is whether a variant is better on the data than the base.
type Verdict string

// The verdicts.
const (
	Helped  Verdict = "helped"
	Hurt    Verdict = "hurt"
	Unclear Verdict = "unclear"
)

// judge goes by the loss on the data: whether its interval is all on one side
// of zero.
func (r *Result) judge() {
	what := map[Kind]string{Adapter: "adapter", Model: "model"}[r.Kind]
	d := r.LossDifference
	switch {
	case d.Below():
		r.Verdict = Helped
		r.Sentence = fmt.Sprintf("The %s %s helped: its loss on this data is %s lower than the base's", what, r.Name, amount(d, -1))
	case d.Above():
		r.Verdict = Hurt
		r.Sentence = fmt.Sprintf("The %s %s made it worse: its loss on this data is %s higher than the base's", what, r.Name, amount(d, 1))
	default:
		r.Verdict = Unclear
		r.Sentence = fmt.Sprintf("It is not clear whether the %s %s helped: its loss on this data differs from the base's by %s", what, r.Name, amount(d, 1))
	}
	r.Sentence += " over " + english.Plural(r.Samples, "sample", "") + r.gapsClause() + r.generalClause() + "."
}

// amount prints a difference, times sign, with its interval.
func amount(d Difference, sign float64) string {
	text := fmt.Sprintf("%.4f nats per token", sign*d.Mean)
	if d.Interval == nil {
		return text + " (too few samples for an interval)"
	}
	low, high := sign*d.Interval.Low, sign*d.Interval.High
	return text + fmt.Sprintf(" (%.4f to %.4f)", math.Min(low, high), math.Max(low, high))
}

func (r *Result) gapsClause() string {
	if r.FIMExact == nil {
		return ""
	}
	points, gaps := 100*r.FIMExact.Mean, english.Plural(r.FIM.Gaps, "gap", "")
	switch {
	case points == 0 && r.FIM.ExactMatch == 0:
		return fmt.Sprintf(", neither of the two fills any of %s exactly", gaps)
	case points == 0:
		return fmt.Sprintf(", both fill %.0f of %s exactly", r.FIM.ExactMatch*float64(r.FIM.Gaps), gaps)
	case r.FIMExact.Above():
		return fmt.Sprintf(", it fills %.1f %% points more gaps exactly", points)
	case r.FIMExact.Below():
		return fmt.Sprintf(", it fills %.1f %% points fewer gaps exactly", -points)
	}
	return fmt.Sprintf(", gaps filled exactly hardly differ (%+.1f %% points)", points)
}

// generalClause tells of forgetting: a higher loss on text that nothing was
// trained on.
func (r *Result) generalClause() string {
	if r.KL == nil {
		return ""
	}
	text, loss := ", and on general text", r.GeneralLoss.Mean
	kl := fmt.Sprintf("KL divergence from the base %.4f nats per token", r.KL.Mean)
	switch {
	case r.GeneralLoss.Above():
		return text + fmt.Sprintf(" it has forgotten some (loss %+.4f, %s)", loss, kl)
	case r.GeneralLoss.Below():
		return text + fmt.Sprintf(" it has become better (loss %+.4f, %s)", loss, kl)
	}
	return text + fmt.Sprintf(" its loss does not clearly differ (%+.4f, %s)", loss, kl)
}

// Verdicts are all sentences, a line each.
func (r *Report) Verdicts() string {
	var lines []string
	for _, v := range r.Variants {
		lines = append(lines, v.Sentence)
	}
	return strings.Join(lines, "\n")
}
