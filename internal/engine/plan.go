package engine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/model"
)

// Plan is the memory of a run by arithmetic, in bytes.
type Plan struct {
	Recompute string // none or block, after auto has chosen
	Weights   int64  // base weights, mapped from the file or copied to the device
	Trained   int64  // trained values, gradient, both moments
	Kept      int64  // activations kept for the backward pass
	Workspace int64  // temporaries of one block, one chunk of logits, scratch
	chunk     int64  // positions of the head at a time
}

// Total is the sum of the parts.
func (p Plan) Total() int64 { return p.Weights + p.Trained + p.Kept + p.Workspace }

// Bounds of one chunk of logits, in bytes: a chunk should be long enough to repay dequantising the head twice.
const (
	hostLogits   = 128 << 20
	deviceLogits = 1280 << 20
)

// makePlan decides between keeping and recomputing activations by laying them out.
func (e *Engine) makePlan() (err error) {
	e.plan = Plan{Recompute: e.o.Recompute, Weights: weightBytes(e.w), Trained: 16 * e.t.n, chunk: e.o.headChunk}
	if e.plan.chunk == 0 {
		budget := int64(deviceLogits)
		if e.backend.OnHost() {
			budget = hostLogits
		}
		e.plan.chunk = headChunk(e.n, e.p.Vocab, budget)
	}
	if e.plan.Recompute != RecomputeAuto {
		return e.layOut(e.plan.Recompute)
	}
	budget := e.o.MemoryBudget
	if budget == 0 {
		if budget, err = e.freeMemory(); err != nil {
			return err
		}
	}
	if err := e.layOut(RecomputeNone); err != nil || e.plan.Total() <= budget {
		return err
	}
	if err := e.acts.store.Close(); err != nil {
		return err
	}
	return e.layOut(RecomputeBlock)
}

// layOut declares the activations and counts them.
func (e *Engine) layOut(recompute string) (err error) {
	if e.acts, err = e.declare(recompute, e.plan.chunk); err != nil {
		return err
	}
	e.plan.Recompute = recompute
	e.plan.Kept, e.plan.Workspace = e.acts.keptBytes, e.acts.store.Declared()-e.acts.keptBytes
	return nil
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
	if e.backend.OnHost() {
		return ggml.ScratchBytes(int64(e.o.Length)) * int64(e.backend.Threads())
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

// freeMemory is what recompute auto may spend: half of what the host has, for others live there too, or nearly all of a
// device.
func (e *Engine) freeMemory() (int64, error) {
	if e.backend.OnHost() {
		free, err := availableMemory()
		return free / 2, err
	}
	return int64(float64(e.o.Module.Devices()[e.o.Device].Free) * 0.95), nil
}

// availableMemory is what the kernel says can be had without swapping (MemAvailable of /proc/meminfo).
func availableMemory() (int64, error) {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("find free memory: %w", err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if rest, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("find free memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("find free memory: /proc/meminfo has no MemAvailable")
}

func weightBytes(w *model.Weights) int64 {
	n := w.Embedding.T.Bytes() + w.OutputNorm.T.Bytes()
	if w.Output.T != w.Embedding.T {
		n += w.Output.T.Bytes()
	}
	for _, b := range w.Blocks {
		for _, l := range []model.Linear{b.Q, b.K, b.V, b.O, b.Gate, b.Up, b.Down} {
			n += l.T.Bytes()
		}
	}
	return n
}
