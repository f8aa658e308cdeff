package engine

import (
	"errors"
	"fmt"
	"math"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/ui"
)

// Plan is the memory of a run by arithmetic, in bytes, and what was chosen to make it fit.
type Plan struct {
	Recompute string // none or block, after auto has chosen
	Rows      int    // of a micro-batch
	Layers    int    // decoder blocks of the model
	Resident  int    // of them, those whose weights stay on the device; all on the CPU

	Weights   int64 // base weights that stay, mapped from the file or copied to the device
	Trained   int64 // trained values, gradient, both moments
	Kept      int64 // activations kept for the backward pass
	Workspace int64 // temporaries of one block, one chunk of logits, scratch
	Runtime   int64 // what CUDA takes for itself; 0 on the CPU
	Slots     int64 // the two places on the device that streamed layers pass through
	Streamed  int64 // weights of those layers in pinned memory of the host, no part of Total

	chunk int64 // positions of the head at a time
}

// Total is the sum of the parts: all that the process takes of a device by NVML's count.
func (p Plan) Total() int64 {
	return p.Weights + p.Trained + p.Kept + p.Workspace + p.Runtime + p.Slots
}

// Adapters is the part of Trained that the values themselves take; the optimiser has the rest.
func (p Plan) Adapters() int64 { return p.Trained / 4 }

// String is the sum in words.
func (p Plan) String() string {
	text := fmt.Sprintf("%s = weights %s + trained values %s + optimiser %s + activations %s (recompute %s) + workspace %s", ui.Size(p.Total()), ui.Size(p.Weights),
		ui.Size(p.Adapters()), ui.Size(p.Trained-p.Adapters()), ui.Size(p.Kept), p.Recompute, ui.Size(p.Workspace))
	if p.Runtime > 0 {
		text += " + CUDA " + ui.Size(p.Runtime)
	}
	if p.Resident < p.Layers {
		text += fmt.Sprintf(" + slots %s for %d of %s (%s) in host memory", ui.Size(p.Slots), p.Layers-p.Resident, english.Plural(p.Layers, "layer", ""), ui.Size(p.Streamed))
	}
	return text
}

// What CUDA takes beside what the engine allocates. The context with cuBLAS, the code of all kernels and recorded graphs was
// measured on one H100 80GB as what NVML counts beyond the other parts, 0.6 GiB at the most (Qwen2.5 0.5B, 8 x 1024
// tokens: planned 8.0 GiB, counted 8.6); the other part is WORKSPACE of cuda/session.cu.
const (
	cudaContext   = 576 << 20
	cublasScratch = 64 << 20
)

// freeShare of what a device has free is what a run takes by default. The context has been made when it is asked, so that
// this part of Plan.Runtime counts twice, which is most of the margin on a small device.
const freeShare = 0.98

// FreeBudget is the Budget of a run that may have all of a device that is free.
func FreeBudget(d ggml.Device) int64 { return int64(freeShare * float64(d.Free)) }

// BudgetError says that not even the smallest plan fits.
type BudgetError struct {
	Smallest Plan
	Budget   int64 // bytes
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("the smallest plan, with micro-batches of %s, takes more than the budget of %s: %s", english.Plural(e.Smallest.Rows, "row", ""), ui.Size(e.Budget), e.Smallest)
}

// PlanFor decides how a run fits into o.Budget on a device, or into o.MemoryBudget on the CPU. It takes what f's header and
// the options say and nothing else: no weights are read and no device is asked. On a device it prefers, as far as o leaves it
// open, to keep all activations, then to recompute them block by block, then to stream as few layers as need be; the error is
// a *BudgetError where even that is too much. On the CPU there is nothing to refuse: the system can swap.
func PlanFor(f *gguf.File, o Options, device bool) (Plan, error) {
	e, err := sketch(f, o, !device)
	if err != nil {
		return Plan{}, err
	}
	err = errors.Join(e.makePlan(f), e.Close())
	return e.plan, err
}

// choice is one way to fit.
type choice struct {
	recompute string
	streamed  int // layers
}

// choices lists the ways that the options leave open, the best first.
func (e *Engine) choices() (all []choice) {
	recomputes := []string{e.o.Recompute}
	if e.o.Recompute == RecomputeAuto {
		recomputes = []string{RecomputeNone, RecomputeBlock}
	}
	layers, streamed := int(e.p.Layers), 0
	if !e.host && e.o.Resident >= 0 {
		streamed = max(0, layers-e.o.Resident)
	}
	for _, r := range recomputes {
		all = append(all, choice{r, streamed})
	}
	for s := 1; !e.host && e.o.Resident < 0 && s <= layers; s++ {
		all = append(all, choice{recomputes[len(recomputes)-1], s})
	}
	return all
}

// makePlan takes the first choice that fits and leaves its activations laid out.
func (e *Engine) makePlan(f *gguf.File) error {
	budget, err := e.budget()
	if err != nil {
		return err
	}
	weights, smallest := e.weightSizes(f), Plan{}
	for _, c := range e.choices() {
		if e.acts == nil || c.recompute != e.plan.Recompute {
			if err := e.layOut(c.recompute); err != nil {
				return err
			}
		}
		weights.plan(&e.plan, c.streamed)
		if e.plan.Total() <= budget {
			return nil
		}
		if smallest.Layers == 0 || e.plan.Total() < smallest.Total() {
			smallest = e.plan
		}
	}
	if e.host {
		return nil
	}
	return &BudgetError{smallest, budget}
}

// budget is what Total may come to.
func (e *Engine) budget() (int64, error) {
	switch {
	case e.host && e.o.MemoryBudget == 0 && e.o.Recompute == RecomputeAuto:
		free, err := availableMemory()
		return free / 2, err
	case e.host:
		return e.o.MemoryBudget, nil
	case e.o.Budget == 0:
		return math.MaxInt64, nil
	}
	return e.o.Budget, nil
}

// layOut declares the activations, in place of those declared before, and counts everything but the weights.
func (e *Engine) layOut(recompute string) (err error) {
	if e.acts != nil {
		if err := e.acts.store.Close(); err != nil {
			return err
		}
	}
	chunk := e.o.headChunk
	if chunk == 0 {
		chunk = headChunk(e.n, e.p.Vocab, e.logitsBytes())
	}
	if e.acts, err = e.declare(recompute, chunk); err != nil {
		return err
	}
	e.plan = Plan{Recompute: recompute, Rows: e.o.Rows, Layers: int(e.p.Layers), Trained: 16 * e.t.n, Kept: e.acts.keptBytes, chunk: chunk}
	e.plan.Workspace = e.acts.store.Declared() - e.acts.keptBytes + optimiserBytes(e.t.n)
	if !e.host {
		e.plan.Runtime = cudaContext + cublasScratch
	}
	return nil
}

// Bounds of one chunk of logits, in bytes: a chunk should be long enough to repay dequantising the head twice.
const (
	hostLogits   = 128 << 20
	deviceLogits = 1280 << 20
)

func (e *Engine) logitsBytes() int64 {
	if e.host {
		return hostLogits
	}
	return deviceLogits
}

// headChunk divides n positions into equal chunks whose logits fit the budget.
func headChunk(n, vocab, budget int64) int64 {
	limit := max(24, budget/4/vocab)
	chunks := (n + limit - 1) / limit
	return (n + chunks - 1) / chunks
}

// scratchBytes is what operations need beside their operands: on the CPU packed panels and attention scores for every
// thread, on a device the weights of the largest group in the activations' type, or rows of the embedding.
func (e *Engine) scratchBytes() int64 {
	if e.host {
		return ggml.ScratchBytes(int64(e.o.Length)) * int64(e.o.Threads)
	}
	p, r := e.p, e.rank()
	largest := int64(0)
	for _, g := range []struct{ in, out, tail int64 }{
		{p.Embd, p.Vocab, ggml.GroupTail(r, 1)}, {p.Embd, 2 * p.FFN, ggml.GroupTail(r, 2)}, {p.FFN, p.Embd, ggml.GroupTail(r, 1)}, {e.qWidth(), p.Embd, ggml.GroupTail(r, 1)},
		{p.Embd, e.qWidth() + 2*e.kvWidth(), ggml.GroupTail(r, 3)},
	} {
		largest = max(largest, (g.in*g.out+g.tail*(g.in+g.out))*e.act.RowBytes(1))
	}
	return (max(largest, 4*e.n*p.Heads, 4*e.n*p.Embd) + 255) / 256 * 256
}
