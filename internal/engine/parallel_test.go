package engine

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/dist/disttest"
)

// TestParallelStepsLikeOne deals four micro-batches out to one, two and three engines for five steps: all end in the same
// bytes, and those of several ranks are those of one up to the order of addition.
func TestParallelStepsLikeOne(t *testing.T) {
	if testModule(t) != nil {
		t.Skip("ranks on a device need one each: train --devices 0,1 is the test")
	}
	const length, micro, steps = 16, 4, 5
	g := openGolden(t, "llama")
	o := g.options(Options{Rows: 1, Length: length, WeightDecay: 0.1})
	var want *checkpoint.State
	for size := 1; size <= 3; size++ {
		engines, states, norms := make([]*Engine, size), make([]*checkpoint.State, size), make([]float64, size)
		for rank := range engines {
			engines[rank] = newEngine(t, openModel(t, "llama"), o)
			setWeights(t, engines[rank], g.tensor)
		}
		for rank, err := range disttest.Each(t, size, func(g *dist.Group) (err error) {
			rank := g.Rank()
			p, err := engines[rank].Parallel(g)
			if err != nil {
				return err
			}
			for step := range steps {
				if norms[rank], err = shareOfStep(p, g, step, micro, length); err != nil {
					return err
				}
			}
			if size > 1 && p.Transport() != "tcp" && p.Engine.backend.OnHost() {
				return fmt.Errorf("gradients travel by %s", p.Transport())
			}
			states[rank], err = p.State()
			return err
		}) {
			if err != nil {
				t.Fatalf("rank %d of %d: %v", rank, size, err)
			}
			if !reflect.DeepEqual(states[rank], states[0]) || norms[rank] != norms[0] {
				t.Errorf("rank %d of %d ends in other bytes than rank 0", rank, size)
			}
		}
		if size == 1 {
			want = states[0]
			continue
		}
		wantClose(t, fmt.Sprintf("weights of %d ranks", size), states[0].Weights, want.Weights, 1e-5)
		wantClose(t, fmt.Sprintf("moments of %d ranks", size), states[0].M, want.M, 1e-4)
	}
}

// shareOfStep accumulates every size-th of the micro-batches of a step and steps.
func shareOfStep(p *Parallel, g *dist.Group, step, micro, length int) (float64, error) {
	var batches []*dataset.Batch
	total := 0
	for m := range micro {
		b := pack(length, [][]int32{sampleTokens(step*micro+m, length-m, int(p.Params().Vocab))})
		batches, total = append(batches, b), total+b.Trained
	}
	for m := g.Rank(); m < micro; m += g.Size() {
		if _, err := p.Accumulate(batches[m], 1/float32(total), 1); err != nil {
			return 0, err
		}
	}
	return p.Step(step+1, 1e-3, 1)
}
