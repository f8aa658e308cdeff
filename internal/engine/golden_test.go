package engine

import (
	"fmt"
	"slices"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

var goldenModels = []string{"llama", "qwen2", "qwen3"}

// gradientLimit is the relative error allowed between the float32 gradients of the engine and the float64 ones of autograd;
// what is seen is a few 1e-6.
const gradientLimit = 1e-4

// Random non-zero A and B, a packed batch with masked targets: logits, loss and every dA and dB against autograd.
func TestAdapterGradientsMatchAutograd(t *testing.T) {
	for _, name := range goldenModels {
		for _, recompute := range []string{RecomputeNone, RecomputeBlock} {
			t.Run(subtest(recompute, name), func(t *testing.T) {
				g := openGolden(t, name)
				b := g.batch(0)
				e := newEngine(t, openModel(t, name), g.options(Options{Rows: b.Rows, Length: b.Length, Recompute: recompute}))
				setWeights(t, e, g.tensor)
				logits, err := e.Logits(b)
				if err != nil {
					t.Fatal(err)
				}
				wantClose(t, "logits", logits, g.tensor("lora.logits"), 1e-5)
				wantNear(t, "loss of Accumulate", accumulate(t, e, b, 1), g.float("lora_loss"), 1e-5)
				loss, err := e.Eval(b)
				if err != nil {
					t.Fatal(err)
				}
				wantNear(t, "loss of Eval", loss, g.float("lora_loss"), 1e-5)
				got := gradients(t, e)
				if want := countAdapters(g); len(got) != want {
					t.Errorf("the engine trains %d tensors, want %d", len(got), want)
				}
				compareGradients(t, g, got)
			})
		}
	}
}

func countAdapters(g golden) (n int) {
	for _, info := range g.f.Tensors() {
		if g.has(info.Name + ".grad") {
			n++
		}
	}
	return n
}

func compareGradients(t *testing.T, g golden, got map[string][]float32) {
	t.Helper()
	worst, compared := 0.0, 0
	for name, v := range got {
		if g.has(name + ".grad") {
			worst = max(worst, wantClose(t, "gradient of "+name, v, g.tensor(name+".grad"), gradientLimit))
			compared++
		}
	}
	if compared == 0 {
		t.Error("nothing to compare")
	}
	t.Logf("%d gradients, worst relative error %.1e", compared, worst)
}

// Method full: the gradient of every embedding, norm, bias and linear.
func TestFullGradientsMatchAutograd(t *testing.T) {
	compared := map[string]int{"llama": 21, "qwen2": 23, "qwen3": 11}
	for _, name := range goldenModels {
		for _, recompute := range []string{RecomputeNone, RecomputeBlock} {
			t.Run(subtest(recompute, name), func(t *testing.T) {
				g := openGolden(t, name)
				b := g.batch(0)
				e := newEngine(t, openModel(t, name), Options{Method: MethodFull, Rows: b.Rows, Length: b.Length, Recompute: recompute})
				logits, err := e.Logits(b)
				if err != nil {
					t.Fatal(err)
				}
				wantClose(t, "logits", logits, g.tensor("base.logits"), 1e-5)
				wantNear(t, "loss", accumulate(t, e, b, 1), g.float("base_loss"), 1e-5)
				got := gradients(t, e)
				found := 0
				for param := range got {
					if g.has(param + ".grad") {
						found++
					}
				}
				if found != compared[name] {
					t.Errorf("%d of the engine's parameters are in the golden file, want %d", found, compared[name])
				}
				compareGradients(t, g, got)
			})
		}
	}
}

// Ten steps of three micro-batches: losses, norms before clipping and the final adapter against torch.optim.AdamW.
func TestTenStepsMatchAdamW(t *testing.T) {
	start, g := openGolden(t, "llama"), openGolden(t, "steps")
	e := newEngine(t, openModel(t, "llama"), start.options(Options{
		Rows: g.int("rows"), Length: g.int("length"),
		Beta1: g.float("beta1"), Beta2: g.float("beta2"), Eps: g.float("eps"), WeightDecay: g.float("weight_decay"),
	}))
	setWeights(t, e, start.tensor)
	rates, losses, norms := g.floats("learning_rates"), g.floats("losses"), g.floats("grad_norms")
	accumulation, groups := g.int("accumulation"), g.int("groups")
	for step := range g.int("steps") {
		first, count := step%groups*accumulation, 0
		for i := range accumulation {
			count += g.batch(first + i).Trained
		}
		sum := 0.0
		for i := range accumulation {
			sum += accumulate(t, e, g.batch(first+i), 1/float32(count))
		}
		norm, err := e.Step(step+1, float64(rates[step]), g.float("clip"))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("step %d: loss %.6f (torch %.6f), norm %.5f (torch %.5f)", step+1, sum/float64(count), losses[step], norm, norms[step])
		wantNear(t, "loss", sum/float64(count), float64(losses[step]), 1e-4)
		wantNear(t, "gradient norm", norm, float64(norms[step]), 1e-3)
	}
	s, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range byName(t, e, s.Weights) {
		wantClose(t, name+" after the last step", got, g.tensor(name+".final"), 1e-3)
	}
}

// Rope scaling by metadata (linear, YaRN) and by the rope_freqs tensor (llama3).
func TestRopeScalingMatchesTransformers(t *testing.T) {
	g, plain := openGolden(t, "rope"), openGolden(t, "llama")
	for name, f := range ropeVariants(t) {
		t.Run(name, func(t *testing.T) {
			b := plain.batch(0)
			e := newEngine(t, f, plain.options(Options{Rows: b.Rows, Length: b.Length})) // B is zero: the base model
			logits, err := e.Logits(b)
			if err != nil {
				t.Fatal(err)
			}
			wantClose(t, "logits", logits, g.tensor(name+".logits"), 1e-5)
		})
	}
}

// ropeVariants are copies of the tiny llama with another rope.
func ropeVariants(t *testing.T) map[string]*gguf.File {
	t.Helper()
	g, base := openGolden(t, "rope"), openModel(t, "llama")
	return map[string]*gguf.File{
		"linear": copyModel(t, base, []gguf.KV{
			{Key: "llama.rope.scaling.type", Value: "linear"},
			{Key: "llama.rope.scaling.factor", Value: float32(g.float("linear_factor"))}}, nil),
		"yarn": copyModel(t, base, []gguf.KV{
			{Key: "llama.rope.scaling.type", Value: "yarn"},
			{Key: "llama.rope.scaling.factor", Value: float32(g.float("yarn_factor"))},
			{Key: "llama.rope.scaling.original_context_length", Value: uint32(g.int("yarn_original_context"))}}, nil),
		"llama3": copyModel(t, base, nil, map[string][]float32{"rope_freqs.weight": g.tensor("rope_freqs.weight")}),
	}
}

// The layout of a batch must not change its gradient: samples packed in rows, or one to a row and padded.
func TestPackedBatchHasTheGradientOfAPaddedOne(t *testing.T) {
	const length = 24
	samples := make([][]int32, 5)
	for i, n := range []int{9, 15, 2, 13, 8} {
		samples[i] = sampleTokens(i, n, 97)
	}
	packed := pack(length, samples[:2], samples[2:])
	padded := pack(length, samples[:1], samples[1:2], samples[2:3], samples[3:4], samples[4:])
	if packed.Trained != padded.Trained {
		t.Fatalf("the batches train %d and %d tokens", packed.Trained, padded.Trained)
	}
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name)
			a := newEngine(t, openModel(t, name), g.options(Options{Rows: packed.Rows, Length: length}))
			b := newEngine(t, openModel(t, name), g.options(Options{Rows: padded.Rows, Length: length}))
			setWeights(t, a, g.tensor)
			setWeights(t, b, g.tensor)
			scale := 1 / float32(packed.Trained)
			wantNear(t, "loss", accumulate(t, a, packed, scale), accumulate(t, b, padded, scale), 1e-6)
			sameGradients(t, gradients(t, a), gradients(t, b), 1e-5)
		})
	}
}

// Four rows at once, or one after the other.
func TestAccumulationHasTheGradientOfOneBatch(t *testing.T) {
	const length = 19
	rows := make([][][]int32, 4)
	for i := range rows {
		rows[i] = [][]int32{sampleTokens(10+i, 5+i, 97), sampleTokens(20+i, 14-2*i, 97)}
	}
	whole := pack(length, rows...)
	for _, name := range goldenModels {
		t.Run(name, func(t *testing.T) {
			g := openGolden(t, name)
			a := newEngine(t, openModel(t, name), g.options(Options{Rows: 4, Length: length}))
			b := newEngine(t, openModel(t, name), g.options(Options{Rows: 1, Length: length}))
			setWeights(t, a, g.tensor)
			setWeights(t, b, g.tensor)
			scale, sum := 1/float32(whole.Trained), 0.0
			for _, row := range rows {
				sum += accumulate(t, b, pack(length, row), scale)
			}
			wantNear(t, "loss", sum, accumulate(t, a, whole, scale), 1e-6)
			sameGradients(t, gradients(t, b), gradients(t, a), 1e-5)
		})
	}
}

func sameGradients(t *testing.T, got, want map[string][]float32, limit float64) {
	t.Helper()
	worst := 0.0
	for name := range want {
		worst = max(worst, wantClose(t, "gradient of "+name, got[name], want[name], limit))
	}
	t.Logf("%d gradients, worst relative error %.1e", len(want), worst)
}

// Kept and recomputed activations, one thread or two, a second run: the same bytes.
func TestGradientsAreTheSameBytes(t *testing.T) {
	g := openGolden(t, "llama")
	b := g.batch(0)
	var first []float32
	for _, o := range []Options{{}, {}, {Recompute: RecomputeBlock}, {Threads: 2}, {Threads: 3}} {
		o.Rows, o.Length = b.Rows, b.Length
		o = g.options(o)
		o.LoRA.Dropout = 0.1
		e := newEngine(t, openModel(t, "llama"), o)
		setWeights(t, e, g.tensor)
		accumulate(t, e, b, 1)
		got, err := e.Gradients()
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if !slices.Equal(got, first) {
			t.Errorf("recompute %q, %d threads: other bytes than the first run, relative error %.1e", o.Recompute, o.Threads, relative(got, first))
		}
	}
}

func subtest(recompute string, model string) string {
	return fmt.Sprintf("%s/recompute=%s", model, recompute)
}
