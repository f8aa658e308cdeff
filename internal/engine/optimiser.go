package engine

import (
	"fmt"
	"math"

	"github.com/qlora/qlora/internal/ggml"
)

// optimiser holds the vectors of AdamW's settings, one for what decays and one for what does not, and the partial sums of
// the gradient norm.
type optimiser struct {
	store *ggml.Store
	sums  *ggml.Tensor
	hyper [2]*ggml.Tensor
}

// optimiserBytes is what the optimiser takes for n trained values, moments aside.
func optimiserBytes(n int64) int64 { return ggml.PieceBytes(4*ggml.SumSquaresChunks(n), 32, 32) }

func (e *Engine) buildOptimiser() (err error) {
	t, o := e.t, &e.opt
	if o.store, err = ggml.NewStore(16); err != nil {
		return err
	}
	o.sums = o.store.New("partial sums", ggml.F32, ggml.SumSquaresChunks(t.n))
	o.hyper[0], o.hyper[1] = o.store.New("adamw", ggml.F32, 8), o.store.New("adamw without decay", ggml.F32, 8)
	if err := o.store.Alloc(e.backend); err != nil {
		return err
	}
	if e.g.squares, err = e.build("gradient norm", func(g *ggml.Graph) { g.SumSquares(o.sums, t.g) }); err != nil {
		return err
	}
	e.g.update, err = e.build("adamw", func(g *ggml.Graph) {
		for i, r := range [][2]int64{{0, t.decayed}, {t.decayed, t.n}} {
			if n := r[1] - r[0]; n > 0 {
				part := func(x *ggml.Tensor) *ggml.Tensor { return t.store.View(x, x.Name(), r[0], n, 1) }
				g.AdamW(part(t.w), part(t.g), part(t.m), part(t.v), o.hyper[i])
			}
		}
		g.Zero(t.g)
	})
	return err
}

// GradNorm is the Euclidean norm of the accumulated gradient; not a number or infinite where a part of it overflowed.
func (e *Engine) GradNorm() (float64, error) {
	if err := e.backend.Compute(e.g.squares); err != nil {
		return 0, err
	}
	sums := make([]float32, e.opt.sums.Elements())
	if err := e.opt.sums.GetF32(0, sums); err != nil {
		return 0, err
	}
	total := 0.0
	for _, s := range sums {
		total += float64(s)
	}
	return math.Sqrt(total) / e.scale.factor(), nil
}

// Step clips the accumulated gradient to norm clip (0: not at all), applies AdamW with bias correction for step t = 1, 2,
// ..., and clears the gradient. It returns the norm before clipping; when that is not finite, weights and moments stay as
// they are, and the loss scale, where there is one, is lowered for the next step.
func (e *Engine) Step(t int, lr, clip float64) (float64, error) {
	if t < 1 || lr < 0 || math.IsNaN(lr) {
		return 0, fmt.Errorf("optimiser step %d with learning rate %g: out of range", t, lr)
	}
	norm, err := e.GradNorm()
	if err != nil {
		return 0, err
	}
	factor := 1 / e.scale.factor()
	finite := !math.IsNaN(norm) && !math.IsInf(norm, 0)
	if e.scale.update(finite); !finite {
		e.t.g.Zero()
		return norm, nil
	}
	if clip > 0 {
		factor *= math.Min(1, clip/(norm+1e-6)) // as torch.nn.utils.clip_grad_norm_
	}
	o := e.o
	for i, decay := range []float64{o.WeightDecay, 0} {
		hyper := []float32{float32(lr), float32(o.Beta1), float32(o.Beta2), float32(o.Eps), float32(decay),
			float32(1 - math.Pow(o.Beta1, float64(t))), float32(math.Sqrt(1 - math.Pow(o.Beta2, float64(t)))), float32(factor)}
		if err := e.opt.hyper[i].SetF32(0, hyper); err != nil {
			return norm, err
		}
	}
	return norm, e.backend.Compute(e.g.update)
}
