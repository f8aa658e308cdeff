package engine

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/model"
	"github.com/qlora/qlora/internal/newmodel"
)

const gib = 1 << 30

// headerOf is a model of a published shape in llama.cpp's mixture q4_k_m, without weights.
func headerOf(t *testing.T, name string) *gguf.File {
	t.Helper()
	p, err := newmodel.FindPreset(name)
	if err != nil {
		t.Fatal(err)
	}
	storage, err := newmodel.ParseStorage("q4_k_m", false)
	if err != nil {
		t.Fatal(err)
	}
	f, err := newmodel.Synthetic{Preset: p, Storage: storage, Std: newmodel.DefaultStd}.Header()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// planOptions are adapters of rank 16 on all linears, in bf16.
func planOptions(rows, length int, budget int64) Options {
	return Options{Method: MethodQLoRA, Rows: rows, Length: length, Threads: 1, Recompute: RecomputeAuto, Resident: -1, Budget: budget,
		Activation: ggml.BF16, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, LoRA: lora.Config{Rank: 16, Alpha: 32, Target: "all"}}
}

func near(got int64, want float64) bool { return math.Abs(float64(got)/want-1) < 0.01 }

// TestPlanByHand holds the parts of one plan to arithmetic: Qwen2.5 7B, 4 rows of 2048 tokens, so that n = 8192.
func TestPlanByHand(t *testing.T) {
	f := headerOf(t, "7b")
	o := planOptions(4, 2048, 0)
	o.Recompute = RecomputeBlock
	p, err := PlanFor(f, o, true)
	if err != nil {
		t.Fatal(err)
	}
	const n, embd, ffn, kv, layers, vocab = 8192, 3584, 18944, 512, 28, 152064
	weights := int64(0)
	for _, info := range f.Tensors() {
		weights += info.Size
	}
	perLayer := 16 * (2*(embd+embd) + 2*(embd+kv) + 3*(embd+ffn)) // A and B of seven linears
	inputs := (layers + 1) * n * embd * 4                         // of each block and of the head, F32
	block := n * (2*(embd+2*kv) + 2*embd + 4*28 + 4*embd + 2*2*ffn)
	scratch := 2 * embd * vocab // the head in bf16
	if !near(p.Weights, float64(weights)) || p.Trained != int64(16*layers*perLayer) || !near(p.Kept, float64(inputs+block)) {
		t.Errorf("weights %d, want %d; trained %d, want %d; kept %d, want %d", p.Weights, weights, p.Trained, 16*layers*perLayer, p.Kept, inputs+block)
	}
	if p.Workspace < int64(scratch) || p.Workspace > 4*gib || p.Slots != 0 || p.Streamed != 0 || p.Resident != layers || p.Layers != layers || p.Rows != 4 {
		t.Errorf("%+v", p)
	}
	if p.Runtime < gib/2 || p.Runtime > gib || p.Total() != p.Weights+p.Trained+p.Kept+p.Workspace+p.Runtime {
		t.Errorf("runtime %d of %d", p.Runtime, p.Total())
	}
	o.Recompute = RecomputeNone
	all, err := PlanFor(f, o, true)
	if err != nil || !near(all.Kept, float64(inputs+layers*block)) {
		t.Errorf("kept without recomputing: %d, want %d (%v)", all.Kept, inputs+layers*block, err)
	}
}

// TestPlanChoices are what budgets make of published shapes. Beside the parts that a budget cannot change, a 7B has 4.36 GiB
// of weights and 2 048 tokens 5.5 GiB of activations more without recomputing; a 32B has 18.5 GiB of weights, of which 17.5
// can be streamed, 2.0 GiB of trained state and 22 GiB of activations. Its two slots are 0.58 GiB.
func TestPlanChoices(t *testing.T) {
	for _, c := range []struct {
		model        string
		rows, length int
		budget       int64 // GiB
		recompute    string
		resident     int // -1: nothing fits
	}{
		{"7b", 1, 2048, 24, RecomputeNone, 28},  // 4.4 + 0.6 + 6.5 + 2.7 + 0.6 = 14.7
		{"7b", 1, 2048, 11, RecomputeBlock, 28}, // 4.4 + 0.6 + 1.0 + 2.7 + 0.6 = 9.2
		{"7b", 1, 2048, 8, RecomputeBlock, 16},  // 1.2 too much, and 0.28 for slots: 12 layers of 0.13
		{"7b", 4, 2048, 40, RecomputeNone, 28},  // 4.4 + 0.6 + 26 + 3.8 + 0.6 = 35.4
		{"7b", 4, 2048, 24, RecomputeBlock, 28}, // 4.4 + 0.6 + 4.0 + 3.8 + 0.6 = 13.4
		{"7b", 4, 2048, 8, "", -1},              // 10.0 with every layer streamed
		{"32b", 1, 2048, 40, RecomputeBlock, 64},
		{"32b", 1, 2048, 24, RecomputeBlock, 49}, // 27.3 with all: 15 layers of 0.27
		{"32b", 1, 2048, 11, RecomputeBlock, 2},
		{"32b", 4, 2048, 11, "", -1},
	} {
		p, err := PlanFor(headerOf(t, c.model), planOptions(c.rows, c.length, c.budget*gib), true)
		var none *BudgetError
		if errors.As(err, &none) {
			if c.resident >= 0 || none.Smallest.Total() <= c.budget*gib || none.Smallest.Resident != 0 || none.Budget != c.budget*gib {
				t.Errorf("%s, %d x %d in %d GiB: %v", c.model, c.rows, c.length, c.budget, err)
			}
			continue
		}
		if err != nil || p.Recompute != c.recompute || p.Resident != c.resident || p.Total() > c.budget*gib {
			t.Errorf("%s, %d x %d in %d GiB: %d layers, %s, want %d, recompute %s (%v)", c.model, c.rows, c.length, c.budget, p.Resident, p, c.resident, c.recompute, err)
		}
	}
}

func TestLargerBudgetsNeverChooseWorse(t *testing.T) {
	for _, name := range []string{"0.5b", "7b", "32b", "llama3-8b"} {
		f := headerOf(t, name)
		fitted, kept, resident := false, false, 0
		for budget := int64(gib); budget < 130*gib; budget += gib / 2 {
			p, err := PlanFor(f, planOptions(2, 4096, budget), true)
			if err != nil {
				var none *BudgetError
				if fitted || !errors.As(err, &none) {
					t.Fatalf("%s in %d bytes, where less was enough: %v", name, budget, err)
				}
				continue
			}
			if none := p.Recompute == RecomputeNone; p.Total() > budget || p.Resident < resident || kept && !none || none && p.Resident < p.Layers {
				t.Fatalf("%s in %d bytes: %+v after %d layers on the device", name, budget, p, resident)
			}
			fitted, kept, resident = true, p.Recompute == RecomputeNone, p.Resident
		}
		if !kept {
			t.Errorf("%s never keeps its activations", name)
		}
	}
}

// What is asked for is not weighed against anything.
func TestPlanRespectsTheOptions(t *testing.T) {
	f := headerOf(t, "7b")
	o := planOptions(1, 2048, 24*gib)
	o.Recompute, o.Resident = RecomputeBlock, 10
	p, err := PlanFor(f, o, true)
	if err != nil || p.Recompute != RecomputeBlock || p.Resident != 10 {
		t.Errorf("%+v, %v", p, err)
	}
	pieces := int64(0)
	streamed := model.Streamed(28, 18)
	for _, i := range streamed {
		pieces += model.PieceBytes(model.StreamedMatrices(f, i))
	}
	whole, err := PlanFor(f, planOptions(1, 2048, 0), true)
	if err != nil || p.Streamed != pieces || p.Weights != whole.Weights-pieces || whole.Recompute != RecomputeNone {
		t.Errorf("streamed %d, want %d; %+v, %v", p.Streamed, pieces, whole, err)
	}
	o.Resident, o.Budget = 999, 8*gib
	if _, err := PlanFor(f, o, true); err == nil {
		t.Error("28 layers were put into 8 GiB")
	}
	o.Recompute, o.Resident = RecomputeNone, -1
	if p, err := PlanFor(f, o, true); err == nil {
		t.Errorf("nothing recomputed in 8 GiB: %+v", p)
	}
	o.Activation, o.Budget, o.Resident = ggml.F32, 0, 0
	if p, err := PlanFor(f, o, false); err != nil || p.Runtime != 0 || p.Slots != 0 || p.Resident != 28 {
		t.Errorf("on the CPU: %+v, %v", p, err)
	}
}

// TestPlanIsWhatNewTakes compares a plan by the header alone with that of an engine and with what it allocated.
func TestPlanIsWhatNewTakes(t *testing.T) {
	path, _ := embeddedModel(t, t.TempDir())
	f := openGGUF(t, path)
	for _, resident := range []int{-1, 4, 1} {
		o := Options{Rows: 2, Length: 64, Recompute: RecomputeBlock, Resident: resident, LoRA: lora.Config{Rank: 4, Alpha: 8, Target: "all"}}
		e := newEngine(t, f, o)
		p, err := PlanFor(f, e.o, !e.host)
		if err != nil || p != e.Plan() {
			t.Fatalf("PlanFor %+v (%v), New %+v", p, err, e.Plan())
		}
		if real := e.acts.store.Bytes() + e.opt.store.Bytes(); math.Abs(float64(p.Kept+p.Workspace)/float64(real)-1) > 0.02 {
			t.Errorf("planned %d bytes of activations, allocated %d", p.Kept+p.Workspace, real)
		}
		weights := e.w.Copied + e.biases.Bytes()
		if e.host {
			weights = 0
			for _, info := range f.Tensors() {
				weights += info.Size
			}
		}
		if math.Abs(float64(p.Weights)/float64(weights)-1) > 0.02 || p.Streamed != e.w.Stream.HostBytes() {
			t.Errorf("planned %d bytes of weights and %d streamed, took %d and %d", p.Weights, p.Streamed, weights, e.w.Stream.HostBytes())
		}
	}
}

func TestBudgetTooSmallForAnything(t *testing.T) {
	path, _ := embeddedModel(t, t.TempDir())
	o := planOptions(1, 64, 1<<20)
	_, err := PlanFor(openGGUF(t, path), o, true)
	var none *BudgetError
	if !errors.As(err, &none) || none.Smallest.Rows != 1 || !slices.Contains([]int{0, none.Smallest.Layers}, none.Smallest.Resident) {
		t.Fatalf("%v", err)
	}
}
