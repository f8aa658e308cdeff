package engine

import (
	"fmt"
	"slices"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/lora"
)

// Methods of training.
const (
	MethodQLoRA = "qlora" // adapters on frozen weights of any base type
	MethodFull  = "full"  // every weight of an F32 model
)

// Ways to keep activations for the backward pass.
const (
	RecomputeNone  = "none"  // keep every block's
	RecomputeBlock = "block" // keep every block's input and compute the rest again
	RecomputeAuto  = "auto"  // none where the memory suffices
)

// MaxTokens bounds the tokens of a micro-batch.
const MaxTokens = 1 << 24

// Options of an engine. Rows x Length is the shape of every micro-batch it will see.
type Options struct {
	Method                         string
	Rows, Length                   int
	Threads                        int
	Recompute                      string
	MemoryBudget                   int64 // bytes that RecomputeAuto may use on the CPU; 0: half of what the machine has free
	LoRA                           lora.Config
	Beta1, Beta2, Eps, WeightDecay float64
	Seed                           uint64
	From                           string // adapter file to continue from

	Module     *ggml.Module // CUDA module to compute with; nil: the CPU
	Device     int          // which of the module's devices
	Activation ggml.Type    // F32, or F16 or BF16 on a device
	Budget     int64        // bytes that all of the process may take of the device; 0: what New finds free, no limit for PlanFor
	Resident   int          // decoder blocks whose weights stay on the device; -1: as many as fit. The others pass through it.

	headChunk int64 // positions of the head at a time; 0: as many as logitsBudget allows
}

func (o Options) check(host bool) error {
	switch {
	case !slices.Contains([]string{MethodQLoRA, MethodFull}, o.Method):
		return fmt.Errorf("unknown method %q; methods are qlora and full", o.Method)
	case !slices.Contains([]string{RecomputeNone, RecomputeBlock, RecomputeAuto}, o.Recompute):
		return fmt.Errorf("unknown recompute %q; choices are none, block and auto", o.Recompute)
	case !slices.Contains([]ggml.Type{ggml.F32, ggml.F16, ggml.BF16}, o.Activation) || host && o.Activation != ggml.F32:
		return fmt.Errorf("activations of type %s; the cpu computes in f32, a device in f32, f16 or bf16", o.Activation)
	case o.Budget < 0 || o.Resident < -1:
		return fmt.Errorf("a budget of %d bytes with %d layers on the device is out of range", o.Budget, o.Resident)
	case o.Rows < 1 || o.Length < 1 || o.Rows*o.Length > MaxTokens:
		return fmt.Errorf("a micro-batch of %d x %d tokens is out of range", o.Rows, o.Length)
	case o.Method == MethodFull && o.From != "":
		return fmt.Errorf("--from continues an adapter; method full has none")
	case o.Beta1 < 0 || o.Beta1 >= 1 || o.Beta2 < 0 || o.Beta2 >= 1 || o.Eps <= 0 || o.WeightDecay < 0:
		return fmt.Errorf("optimiser settings beta1 %g, beta2 %g, eps %g, weight decay %g are out of range", o.Beta1, o.Beta2, o.Eps, o.WeightDecay)
	}
	return nil
}
