package cli

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ui"
)

// planFit is how far the budget reaches in one way to use it.
type planFit struct {
	Recompute string `json:"recompute"`
	Streaming bool   `json:"streaming"`        // whether layers may stay in host memory
	CtxSize   int    `json:"ctx_size"`         // the longest, at the micro-batch size asked for; 0: none fits
	Rows      int    `json:"micro_batch_size"` // the largest, at the context asked for; 0: none fits
}

// mostRows bounds the search for a micro-batch.
const mostRows = 1024

// fits searches what fits the budget; none without one.
func (p *planned) fits() (all []planFit, err error) {
	if p.budget == 0 {
		return nil, nil
	}
	arch, _ := p.f.String("general.architecture")
	longest, _ := p.f.Uint(arch + ".context_length")
	for _, way := range []planFit{{Recompute: engine.RecomputeNone}, {Recompute: engine.RecomputeBlock}, {Recompute: engine.RecomputeBlock, Streaming: true}} {
		o := p.asked
		o.Recompute, o.Resident = way.Recompute, int(^uint(0)>>1)
		if way.Streaming {
			o.Resident = -1
		}
		way.CtxSize, err = largest(int(longest)/rowAlign, func(n int) (bool, error) {
			o := o
			o.Rows, o.Length = p.rows.rows, n*rowAlign
			return p.fitsBudget(o)
		})
		if err != nil {
			return nil, err
		}
		way.CtxSize *= rowAlign
		way.Rows, err = largest(mostRows, func(n int) (bool, error) {
			o := o
			o.Rows = n
			return p.fitsBudget(o)
		})
		if err != nil {
			return nil, err
		}
		all = append(all, way)
	}
	return all, nil
}

func (p *planned) fitsBudget(o engine.Options) (bool, error) {
	if o.Rows*o.Length > engine.MaxTokens {
		return false, nil
	}
	var none *engine.BudgetError
	_, err := engine.PlanFor(p.f, o, true)
	if errors.As(err, &none) {
		return false, nil
	}
	return err == nil, err
}

// largest is the largest n from 1 to limit that fits, as all smaller ones do; 0 when none does.
func largest(limit int, fits func(n int) (bool, error)) (int, error) {
	low, high := 0, limit+1 // low fits, high does not
	for high-low > 1 {
		mid := low + (high-low)/2
		ok, err := fits(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

func printFits(s *ui.Streams, p *planned, fits []planFit) {
	if len(fits) == 0 {
		return
	}
	number := func(n int) string {
		if n == 0 {
			return "-"
		}
		return fmt.Sprint(n)
	}
	var rows [][]string
	for _, f := range fits {
		layers := "all on the GPU"
		if f.Streaming {
			layers = "streamed as need be"
		}
		rows = append(rows, []string{f.Recompute, layers, number(f.CtxSize), number(f.Rows)})
	}
	s.Printf("\nwhat fits into %s:\n", ui.Size(p.budget))
	ui.Table(s.Out, []string{"recompute", "layers", "longest -c at " + english.Plural(p.rows.rows, "row", ""), fmt.Sprintf("most rows at -c %d", p.length)}, rows)
}
