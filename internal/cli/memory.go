package cli

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/ui"
)

const vramBudgetUsage = "`size` of GPU memory to take at the most, such as 11GiB, 24G or 80% (default what is free)"

// budget is the bytes of the device that a run may take; 0 on the CPU.
func (d computeDevice) budget(text string) (int64, error) {
	b, err := config.ParseBudget("vram-budget", text)
	switch {
	case err != nil:
		return 0, ui.Fail(ui.ExitUsage, err)
	case !d.onGPU() && !b.Open():
		return 0, ui.Fail(ui.ExitUsage, config.ErrBudgetOnCPU, "leave --vram-budget out, or compute on a GPU with --device cuda")
	case !d.onGPU():
		return 0, nil
	case b.Open():
		return engine.FreeBudget(d.gpu), nil
	}
	return b.Of(int64(d.gpu.Total)), nil
}

// rowChoice is how a step is cut into micro-batches.
type rowChoice struct {
	rows, accum int  // as asked for, then as taken
	fixed       bool // whether nothing but what was asked for will do
}

// fit plans the run of o, if need be with fewer rows to a micro-batch and as many more micro-batches to a step: it trains on
// the same rows, and its loss is the mean over all of them. o is left with what was chosen. Where nothing fits the plan is
// the smallest, and the error a *engine.BudgetError.
func (c *rowChoice) fit(f *gguf.File, o *engine.Options, device bool) (engine.Plan, error) {
	var none *engine.BudgetError
	for rows := c.rows; rows > 0; rows-- {
		if c.rows%rows != 0 || rows < c.rows && c.fixed {
			continue
		}
		o.Rows = rows
		plan, err := engine.PlanFor(f, *o, device)
		if errors.As(err, &none) {
			continue
		}
		if err == nil {
			c.rows, c.accum = rows, c.accum*(c.rows/rows)
			o.Recompute, o.Resident = plan.Recompute, plan.Resident
		}
		return plan, err
	}
	return none.Smallest, none
}

// warnFewer says aloud that micro-batches are not those asked for.
func (c rowChoice) warnFewer(asked rowChoice, s *ui.Streams) {
	if c.rows < asked.rows {
		s.Warnf("micro-batches of %d rows do not fit: each step takes %s of %s instead of %d",
			asked.rows, english.Plural(c.accum, "micro-batch", "micro-batches"), english.Plural(c.rows, "row", ""), asked.accum)
	}
}

// Hints for want of the memory of a GPU.
const (
	takeLess  = "take less: a smaller --ctx-size, --micro-batch-size or --rank, --recompute block, fewer layers on the GPU with -ngl"
	allowMore = "allow more with --vram-budget, where the GPU has it"
)

// deviceFailure gives the exit code and hints to an error for want of memory, or of a device; nil to any other.
func deviceFailure(err error) error {
	var budget *engine.BudgetError
	switch {
	case errors.As(err, &budget):
		return ui.Fail(ui.ExitDevice, err, takeLess, "see what fits with 'qlora plan'", allowMore)
	case errors.Is(err, ggml.ErrNoMemory):
		return ui.Fail(ui.ExitDevice, err, takeLess, "see who else takes GPU memory with 'qlora gpu', and leave room for them with --vram-budget")
	case errors.Is(err, ggml.ErrDevice):
		return ui.Fail(ui.ExitDevice, err, "run 'qlora doctor' to see what this machine offers")
	}
	return nil
}

// refusedRows explains a resumed run that does not fit as it began.
func (c rowChoice) refusedRows(err error) error {
	var budget *engine.BudgetError
	if !c.fixed || !errors.As(err, &budget) {
		return err
	}
	return ui.Fail(ui.ExitDevice, fmt.Errorf("resume: %w", err), fmt.Sprintf("the run has micro-batches of %s, which cannot change now", english.Plural(c.rows, "row", "")),
		"free GPU memory ('qlora gpu' shows who takes it), or allow more with --vram-budget")
}
