package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/ui"
)

// mergeTensor is the event of one tensor.
type mergeTensor struct {
	Name          string  `json:"name"`
	From          string  `json:"from"`
	To            string  `json:"to"`
	Wanted        string  `json:"wanted,omitempty"` // by the mixture, when the row width forced another
	Adapted       bool    `json:"adapted"`
	Bytes         int64   `json:"bytes"`
	Change        float64 `json:"change"`         // |s*B*A| / |W|
	RelativeError float64 `json:"relative_error"` // |written - exact| / |exact|
}

// mergeSummary ends the JSON output of merge.
type mergeSummary struct {
	Model            string           `json:"model"`
	Adapters         []mergeAdapter   `json:"adapters"`
	Output           string           `json:"output"`
	Type             string           `json:"type"`
	Tensors          int              `json:"tensors"`
	Adapted          int              `json:"adapted"`
	Fallbacks        int              `json:"fallbacks"`
	Types            map[string]int   `json:"types"`
	TypeBytes        map[string]int64 `json:"type_bytes"`
	Bytes            int64            `json:"bytes"` // of tensor data
	MaxRelativeError float64          `json:"max_relative_error"`
	WorstTensor      string           `json:"worst_tensor,omitempty"`
	Seconds          float64          `json:"seconds"`
}

type mergeAdapter struct {
	Path   string  `json:"path"`
	Factor float64 `json:"factor"`
	Pairs  int     `json:"pairs"`
}

// mergeReport gathers what a merge says about its tensors.
type mergeReport struct {
	s       *ui.Streams
	options *mergeOptions
	sum     mergeSummary
	rows    [][]string
	narrow  fallbackList
	failed  error // of an event that could not be written
}

func newMergeReport(s *ui.Streams, o *mergeOptions, p *lora.Plan) *mergeReport {
	return &mergeReport{s: s, options: o, sum: mergeSummary{
		Model: o.model, Output: o.out, Type: o.kind, Tensors: len(p.Steps), Bytes: p.Bytes(),
		Types: map[string]int{}, TypeBytes: map[string]int64{},
	}}
}

// tensor takes one report of the merge, in file order.
func (r *mergeReport) tensor(t lora.TensorReport) {
	name := t.Tensor.Name
	event := mergeTensor{Name: name, From: t.Tensor.Type.String(), To: t.Type.String(), Adapted: t.Adapted,
		Bytes: t.Bytes, Change: t.Change, RelativeError: t.Error}
	r.sum.Types[event.To]++
	r.sum.TypeBytes[event.To] += t.Bytes
	if t.Adapted {
		r.sum.Adapted++
	}
	if t.Fallback() {
		event.Wanted = t.Wanted.String()
		r.sum.Fallbacks++
		r.narrow.add(t)
	}
	if t.Error > r.sum.MaxRelativeError {
		r.sum.MaxRelativeError, r.sum.WorstTensor = t.Error, name
	}
	if t.Adapted || t.Type != t.Tensor.Type {
		r.rows = append(r.rows, []string{name, event.From, event.To, percent(t.Change), percent(t.Error)})
	}
	if err := r.s.Event("tensor", event); err != nil && r.failed == nil {
		r.failed = err
	}
}

// finish prints the fallbacks, the table if asked for, and the summary.
func (r *mergeReport) finish(adapters []lora.Scaled, took time.Duration) error {
	for _, a := range adapters {
		r.sum.Adapters = append(r.sum.Adapters, mergeAdapter{Path: a.Path, Factor: a.Factor, Pairs: len(a.Pairs)})
		if len(a.Ignored) > 0 {
			r.s.Warnf("%s: llama.cpp does not apply %s, and neither did the merge", a.Path, strings.Join(a.Ignored, ", "))
		}
	}
	for _, line := range r.narrow.lines() {
		r.s.Infof("qlora: %s\n", line)
	}
	r.sum.Seconds = took.Seconds()
	if r.options.tensors && !r.s.JSON {
		ui.Table(r.s.Out, []string{"tensor", "from", "to", "change", "error"}, r.rows)
	}
	r.s.Printf("%s: %s, %d of %s adapted (%s)\n", r.sum.Output, humanize.IBytes(uint64(r.sum.Bytes)),
		r.sum.Adapted, english.Plural(r.sum.Tensors, "tensor", ""), countList(r.sum.Types))
	if r.sum.WorstTensor != "" {
		r.s.Printf("largest relative error by conversion: %s, in %s\n", percent(r.sum.MaxRelativeError), r.sum.WorstTensor)
	}
	if r.failed != nil {
		return r.failed
	}
	return r.s.Event("summary", r.sum)
}

// percent prints a ratio with three digits.
func percent(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.3g %%", 100*x)
}
