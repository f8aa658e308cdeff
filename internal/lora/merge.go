package lora

import (
	"context"
	"math"
	"runtime"

	"github.com/qlora/qlora/internal/gguf"
)

const (
	chunkValues = 512 << 10 // about how many values are handed over and written at a time
	blockValues = 32 << 10  // about how many are converted at a time; in F32, twice, they fit a core's cache
)

// MergeOptions are the settings of a merge.
type MergeOptions struct {
	Threads  int                // [all cores]
	Report   func(TensorReport) // called once for each tensor, in file order; may be nil
	Progress func(bytes int64)  // called with bytes just written; may be nil
}

// TensorReport says what became of a tensor.
type TensorReport struct {
	Step
	Bytes int64
	// Error is |written - exact| / |exact| in the Frobenius norm: what the
	// output type cost. 0 for a tensor that was copied.
	Error float64
	// Change is |s·B·A| / |W|: how much the adapters moved the tensor.
	Change float64
}

// Merge writes the planned model to path, tensor by tensor: W + Σ s·B·A in
// F32, converted to the planned type; what is neither adapted nor converted
// goes over byte for byte. Memory holds a few chunks of rows. The file
// appears at path only when it is complete.
func (p *Plan) Merge(ctx context.Context, path string, k Kernels, o MergeOptions) error {
	w, err := gguf.Create(path, p.metadata, p.tensors)
	if err != nil {
		return err
	}
	defer w.Abort()
	if o.Threads < 1 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	line := newPipeline(p, k.withDefaults(), o.Threads)
	defer line.running.Wait() // the base may be closed after this returns
	line.running.Go(func() { line.feed(ctx, cancel) })
	if err := line.write(ctx, w, o); err != nil {
		cancel(err)
		return err
	}
	return w.Commit()
}

// tally sums up a tensor over its chunks.
type tally struct {
	lost, exact float64 // |written - exact|², |exact|²
	moved, base float64 // |s·B·A|², |W|²
}

func (t *tally) add(u tally) {
	t.lost, t.exact = t.lost+u.lost, t.exact+u.exact
	t.moved, t.base = t.moved+u.moved, t.base+u.base
}

func (t tally) report(s Step, bytes int64) TensorReport {
	return TensorReport{Step: s, Bytes: bytes, Error: ratio(t.lost, t.exact), Change: ratio(t.moved, t.base)}
}

// ratio is sqrt(a/b), and 0 for 0/0.
func ratio(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return math.Sqrt(a / b)
}
