package engine

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// autocastRatio is how much more than torch.autocast 16-bit gradients may lose against F32: the geometric mean over the
// files, because with one set of adapters either's error is a matter of luck (docs/kernels/rounding.md).
const autocastRatio = 1.5

// autocastFile is what benchmarks/peers/autocast_gradients.py wrote: adapters, a batch, gradients by torch in F32, and how
// far those under torch.autocast are from them.
type autocastFile struct {
	golden
	base  *gguf.File
	batch *dataset.Batch
	names []string
}

// openAutocasts opens the files of the list in QLORA_AUTOCAST.
func openAutocasts(t *testing.T) (files []autocastFile) {
	t.Helper()
	for _, path := range filepath.SplitList(os.Getenv("QLORA_AUTOCAST")) {
		files = append(files, openAutocast(t, path))
	}
	if len(files) == 0 {
		t.Skip("compares with torch.autocast: benchmarks/autocast.sh writes the files that QLORA_AUTOCAST names and runs this")
	}
	return files
}

func openAutocast(t *testing.T, path string) autocastFile {
	t.Helper()
	a := autocastFile{golden: golden{t, openGGUF(t, path)}}
	model, _ := a.f.String("autocast.model")
	a.base = openGGUF(t, model)
	tokens, _ := a.f.Ints("autocast.tokens")
	a.names, _ = a.f.Strings("autocast.names")
	const length = 256
	var rows [][][]int32
	for at := 0; at+length <= len(tokens); at += length {
		row := make([]int32, length)
		for i := range row {
			row[i] = int32(tokens[at+i])
		}
		rows = append(rows, [][]int32{row})
	}
	if len(rows) == 0 || len(a.names) == 0 {
		t.Fatalf("%s holds %d rows and %d gradients", path, len(rows), len(a.names))
	}
	a.batch = pack(length, rows...)
	return a
}

// gradients runs the batch once, on the CPU or on a device in the given precision.
func (a autocastFile) gradients(t *testing.T, m *ggml.Module, typ ggml.Type) map[string][]float32 {
	t.Helper()
	e := startEngine(t, a.base, Options{Rows: a.batch.Rows, Length: a.batch.Length, Threads: 2, Module: m, Activation: typ,
		LoRA: lora.Config{Rank: 8, Alpha: 16, Target: "all"}})
	setWeights(t, e, a.tensor)
	for {
		loss := accumulate(t, e, a.batch, 1/float32(a.batch.Trained)) / float64(a.batch.Trained)
		norm, err := e.GradNorm()
		if err != nil {
			t.Fatal(err)
		}
		if !math.IsNaN(norm) && !math.IsInf(norm, 0) || e.LossScale() <= 1 {
			want, _ := a.f.Float("autocast.loss")
			t.Logf("%s: loss %.6f, torch in F32 %.6f, loss scale %g", typ, loss, want, e.LossScale())
			return gradients(t, e)
		}
		if _, err := e.Step(1, 0, 0); err != nil { // a smaller loss scale
			t.Fatal(err)
		}
	}
}

// errors are the relative error of every gradient in the order of names, and that of all of them together.
func (a autocastFile) errors(got map[string][]float32) (each []float64, whole float64) {
	var diff, norm float64
	for _, name := range a.names {
		want := a.tensor(name + ".grad")
		each = append(each, relative(got[name], want))
		for i, w := range want {
			d := float64(got[name][i]) - float64(w)
			diff, norm = diff+d*d, norm+float64(w)*float64(w)
		}
	}
	return each, math.Sqrt(diff / norm)
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// Every adapter's gradient of a real model: in F32 that of torch, in 16 bits at most half as far off again as autocast's.
func TestGradientsAgainstAutocast(t *testing.T) {
	files, module := openAutocasts(t), testModule(t)
	for i, a := range files {
		t.Run(fmt.Sprintf("f32/adapters=%d", i+1), func(t *testing.T) {
			each, whole := a.errors(a.gradients(t, module, ggml.F32))
			t.Logf("f32: relative error of the gradient %.2e, mean over tensors %.2e", whole, mean(each))
			if !(whole <= 2e-4) {
				t.Errorf("in F32 the gradient differs from torch's by %.2e, at most 2e-4 allowed", whole)
			}
		})
	}
	for _, typ := range []ggml.Type{ggml.BF16, ggml.F16} {
		t.Run(typ.String(), func(t *testing.T) {
			device(t)
			needBF16(t, module, typ)
			againstAutocast(t, files, module, typ)
		})
	}
}

func againstAutocast(t *testing.T, files []autocastFile, m *ggml.Module, typ ggml.Type) {
	t.Helper()
	whole, tensors := 0.0, 0.0 // sums of logarithms
	for i, a := range files {
		w, each := math.NaN(), math.NaN()
		t.Run(fmt.Sprintf("adapters=%d", i+1), func(t *testing.T) { w, each = a.ratios(t, m, typ, len(files) == 1) })
		whole, tensors = whole+math.Log(w)/float64(len(files)), tensors+math.Log(each)/float64(len(files))
	}
	whole, tensors = math.Exp(whole), math.Exp(tensors)
	t.Logf("%s, %d sets of adapters: whole gradient %.2f times as far off as under autocast, its tensors %.2f times", typ, len(files), whole, tensors)
	if !(whole <= autocastRatio) || !(tensors <= autocastRatio) {
		t.Errorf("the gradient is off by %.2f times as much as under torch.autocast, its tensors by %.2f times on average; at most %g allowed",
			whole, tensors, autocastRatio)
	}
}

// ratios are our error over autocast's, of the whole gradient and of the mean over its tensors.
func (a autocastFile) ratios(t *testing.T, m *ggml.Module, typ ggml.Type, verbose bool) (float64, float64) {
	t.Helper()
	theirs, _ := a.f.Floats("autocast." + typ.String())
	theirWhole, _ := a.f.Float("autocast." + typ.String() + ".whole")
	each, whole := a.errors(a.gradients(t, m, typ))
	if len(theirs) != len(each) {
		t.Fatalf("%d errors of autocast for %d gradients", len(theirs), len(each))
	}
	worst, theirMean := 0.0, 0.0
	for i, name := range a.names {
		ratio := each[i] / float64(theirs[i])
		worst, theirMean = max(worst, ratio), theirMean+float64(theirs[i])/float64(len(theirs))
		if verbose {
			t.Logf("%-34s autocast %.2e, here %.2e, ratio %.2f", name, theirs[i], each[i], ratio)
		}
	}
	t.Logf("%s: whole gradient: autocast %.2e, here %.2e, ratio %.2f; mean over tensors: %.2e, %.2e, ratio %.2f; largest ratio %.2f",
		typ, theirWhole, whole, whole/theirWhole, theirMean, mean(each), mean(each)/theirMean, worst)
	return whole / theirWhole, mean(each) / theirMean
}
