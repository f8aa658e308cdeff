package lora

import (
	"fmt"

	"github.com/qlora/qlora/internal/gguf"
)

// Pair is the adaptation of one base tensor, in F32.
type Pair struct {
	Base string    // name of the tensor, such as blk.0.attn_q.weight
	A    []float32 // ne = [NIn, Rank]: Rank rows of NIn values
	B    []float32 // ne = [Rank, NOut]: NOut rows of Rank values
	Rank int
	NIn  int64 // of the base tensor: ne = [NIn, NOut]
	NOut int64
}

// Adapter is a set of pairs for one base model.
type Adapter struct {
	Arch    string   // general.architecture of the base
	Alpha   float64  // as in the file: the scale of a pair is Alpha/Rank
	Pairs   []Pair   // in file order
	Name    string   // general.name
	Path    string   // the file it was read from, if any
	Ignored []string // tensors of the file that llama.cpp accepts but does not apply
}

// Scale is the factor of B·A, by llama.cpp's rule: alpha divided by the pair's
// rank, and 1 when the file says no alpha.
func (a *Adapter) Scale(p Pair) float64 {
	if a.Alpha == 0 {
		return 1
	}
	return a.Alpha / float64(p.Rank)
}

// Pair finds the pair of a base tensor.
func (a *Adapter) Pair(base string) (Pair, bool) {
	for _, p := range a.Pairs {
		if p.Base == base {
			return p, true
		}
	}
	return Pair{}, false
}

// MismatchError says that an adapter was made for another base.
type MismatchError struct {
	Adapter, Base string // paths
	What          string
}

func (e *MismatchError) Error() string {
	return fmt.Sprintf("adapter %s does not fit %s: %s", e.Adapter, e.Base, e.What)
}

// Check holds the adapter to a base model: same architecture, and each pair's
// tensor there with the right shape. The error is a *MismatchError.
func (a *Adapter) Check(base *gguf.File) error {
	fail := func(format string, args ...any) error {
		return &MismatchError{Adapter: a.label(), Base: base.Paths()[0], What: fmt.Sprintf(format, args...)}
	}
	if arch, _ := base.String("general.architecture"); arch != a.Arch {
		return fail("it was made for architecture %q, the model is %q", a.Arch, arch)
	}
	if len(a.Pairs) == 0 {
		return fail("it holds no tensors")
	}
	for _, p := range a.Pairs {
		t, ok := base.Tensor(p.Base)
		switch {
		case !ok && p.Base == headTensor:
			return fail("the model has no %s: its head is tied to token_embd.weight", p.Base)
		case !ok:
			return fail("the model has no tensor %s", p.Base)
		case len(t.Dims) != 2:
			return fail("tensor %s of the model has %d dimensions, want 2", p.Base, len(t.Dims))
		case t.Dims[0] != p.NIn || t.Dims[1] != p.NOut:
			return fail("tensor %s is %d x %d in the adapter and %d x %d in the model", p.Base, p.NIn, p.NOut, t.Dims[0], t.Dims[1])
		}
	}
	return nil
}

func (a *Adapter) label() string {
	if a.Path != "" {
		return a.Path
	}
	return a.Name
}
