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
	Weights   int64  // base weights, mapped from the file
	Trained   int64  // trained values, gradient, both moments
	Kept      int64  // activations kept for the backward pass
	Workspace int64  // temporaries of one block, one chunk of logits, scratch
	chunk     int64  // positions of the head at a time
	scratch   int64
}

// Total is the sum of the parts.
func (p Plan) Total() int64 { return p.Weights + p.Trained + p.Kept + p.Workspace }

// logitsBudget bounds one chunk of logits; a chunk should be long enough to repay dequantising the head twice.
const logitsBudget = 128 << 20

// makePlan decides between keeping and recomputing activations and adds everything up.
func (e *Engine) makePlan(weights, trained int64) (Plan, error) {
	p, n := e.p, e.n
	plan := Plan{Weights: weights, Trained: 16 * trained}
	if plan.chunk = e.o.headChunk; plan.chunk == 0 {
		plan.chunk = headChunk(n, p.Vocab)
	}
	plan.scratch = e.scratchBytes()
	perToken := e.keptPerToken() // bytes
	inputs := 4 * n * p.Embd * (p.Layers + 1)
	plan.Workspace = e.workspace(plan)
	plan.Recompute = e.o.Recompute
	if plan.Recompute == RecomputeAuto {
		budget := e.o.MemoryBudget
		if budget == 0 {
			free, err := e.freeMemory()
			if err != nil {
				return plan, err
			}
			budget = free
		}
		plan.Recompute = RecomputeNone
		if plan.Total()+inputs+n*perToken*p.Layers > budget {
			plan.Recompute = RecomputeBlock
		}
	}
	blocks := p.Layers
	if plan.Recompute == RecomputeBlock {
		blocks = 1
	}
	plan.Kept = inputs + n*perToken*blocks
	return plan, nil
}

// headChunk divides n positions into equal chunks whose logits fit the budget.
func headChunk(n, vocab int64) int64 {
	limit := max(24, logitsBudget/4/vocab)
	chunks := (n + limit - 1) / limit
	return (n + chunks - 1) / chunks
}

// keptPerToken is the size of one kept per token.
func (e *Engine) keptPerToken() int64 {
	p := e.p
	q, kv := p.Heads*p.HeadDim, p.KVHeads*p.HeadDim
	values := 2*q + 2*kv + 2*p.FFN + 7*e.rank()
	if p.QKNorm {
		values += q + kv
	}
	return values*e.act.RowBytes(1) + 4*(p.Heads+p.Embd)
}

func (e *Engine) workspace(plan Plan) int64 {
	p, n, c := e.p, e.n, plan.chunk
	q, kv := p.Heads*p.HeadDim, p.KVHeads*p.HeadDim
	narrow := n*(2*p.Embd+4*p.FFN+2*q+2*kv) + e.rank()*(max(n, c)+c) + 2*c*p.Embd
	if e.o.LoRA.Dropout > 0 && e.rank() > 0 {
		narrow += max(p.FFN, q, p.Embd) * max(n, c)
	}
	wide := n*(p.Embd+p.Rope.Dims+3) + c*(2*p.Embd+p.Vocab+3)
	return narrow*e.act.RowBytes(1) + 4*wide + plan.scratch
}

// scratchBytes is what operations need beside their operands: on the CPU packed panels and attention scores for every
// thread, on a device the largest weight in the activations' type.
func (e *Engine) scratchBytes() int64 {
	if e.backend.OnHost() {
		return ggml.ScratchBytes(int64(e.o.Length)) * int64(e.backend.Threads())
	}
	largest := max(e.p.Vocab*e.p.Embd, e.p.FFN*e.p.Embd, e.p.Heads*e.p.HeadDim*e.p.Embd) * e.act.RowBytes(1)
	return max(largest, 4*e.n*e.p.Heads, 4*e.n*e.p.Embd)
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
