package engine

import (
	"reflect"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/checkpoint"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// precisions are the types of activations on a device, with the relative error allowed in each adapter's gradient on two
// blocks. The rounding unit of bf16 is eight times that of f16, and so is what is seen: 2.5e-2 and 2.7e-3 at the most.
var precisions = []struct {
	typ   ggml.Type
	limit float64
}{{ggml.F32, 2e-4}, {ggml.F16, 1e-2}, {ggml.BF16, 3e-2}}

// device is the module that QLORA_CUDA_LIBRARY names; without one the test is skipped.
func device(t *testing.T) *ggml.Module {
	t.Helper()
	m := testModule(t)
	if m == nil {
		t.Skip("compares a device with the CPU: set QLORA_CUDA_LIBRARY to the library of 'make cuda'")
	}
	return m
}

func needBF16(t *testing.T, m *ggml.Module, typ ggml.Type) {
	t.Helper()
	if d := m.Device(0); typ == ggml.BF16 && d.Kernels() < 80 {
		t.Skipf("bf16 needs code of capability 80: device %d.%d runs code of %d", d.Major, d.Minor, d.Code)
	}
}

// deviceCase is a two-block model and what is trained of it.
type deviceCase struct {
	name    string
	arch    string
	typ     gguf.Type
	target  string
	dropout float64
}

var deviceCases = []deviceCase{
	{"llama", "llama", gguf.Q8_0, "all", 0},
	{"llama with a head", "llama", gguf.Q6_K, allLinears, 0},
	{"qwen2", "qwen2", gguf.Q4_K, "all", 0},
	{"qwen2 with a head", "qwen2", gguf.Q8_0, allLinears, 0},
	{"some linears", "qwen2", gguf.Q6_K, "attn_q,attn_v,ffn_up", 0},
	{"dropout", "llama", gguf.Q4_K, allLinears, 0.1},
	{"dropout without a head", "qwen2", gguf.Q6_K, "all", 0.1},
}

func (c deviceCase) options(b *dataset.Batch) Options {
	return Options{Rows: b.Rows, Length: b.Length, LoRA: lora.Config{Rank: 8, Alpha: 16, Target: c.target, Dropout: c.dropout}}
}

func (c deviceCase) model(t *testing.T) *gguf.File {
	t.Helper()
	m := newWideModel(31)
	if c.arch == "qwen2" {
		m.asQwen2()
	}
	return openGGUF(t, m.write(t, t.TempDir(), c.typ))
}

// asQwen2 turns the llama into a qwen2, which adds biases to q, k and v and rotates halves instead of neighbours.
func (m *wideModel) asQwen2() {
	for i, kv := range m.kvs {
		m.kvs[i].Key = strings.Replace(kv.Key, "llama.", "qwen2.", 1)
		if kv.Value == "llama" {
			m.kvs[i].Value = "qwen2"
		}
	}
	for _, info := range m.tensors {
		for _, part := range []string{"attn_q", "attn_k", "attn_v"} {
			if bias, ok := strings.CutSuffix(info.Name, part+".weight"); ok {
				m.vector(bias+part+".bias", info.Dims[1])
			}
		}
	}
}

// run is the loss and the gradients of one packed batch through random non-zero A and B.
func (c deviceCase) run(t *testing.T, f *gguf.File, b *dataset.Batch, o Options) (float64, map[string][]float32) {
	t.Helper()
	e := startEngine(t, f, o)
	randomAdapter(t, e)
	loss := accumulate(t, e, b, 1/float32(b.Trained))
	return loss, gradients(t, e)
}

// Every adapter's gradient on a device, in each precision, against the CPU in F32.
func TestDeviceGradientsMatchTheCPU(t *testing.T) {
	module, b := device(t), parityBatch(parityVocab)
	for _, c := range deviceCases {
		t.Run(c.name, func(t *testing.T) {
			f := c.model(t)
			wantLoss, want := c.run(t, f, b, c.options(b))
			for _, p := range precisions {
				for _, recompute := range []string{RecomputeNone, RecomputeBlock} {
					t.Run(p.typ.String()+"/recompute="+recompute, func(t *testing.T) {
						needBF16(t, module, p.typ)
						o := c.options(b)
						o.Module, o.Activation, o.Recompute = module, p.typ, recompute
						loss, got := c.run(t, f, b, o)
						wantNear(t, "loss", loss, wantLoss, 1e-2)
						sameGradients(t, got, want, p.limit)
					})
				}
			}
		})
	}
}

// The same seed twice: the same bytes of weights and moments after three steps.
func TestDeviceStepsAreTheSameBytes(t *testing.T) {
	module, b := device(t), parityBatch(parityVocab)
	c := deviceCase{"twice", "qwen2", gguf.Q4_K, allLinears, 0.1}
	f := c.model(t)
	for _, p := range precisions {
		t.Run(p.typ.String(), func(t *testing.T) {
			needBF16(t, module, p.typ)
			o := c.options(b)
			o.Module, o.Activation = module, p.typ
			var first *checkpoint.State
			for range 2 {
				s := trainThree(t, startEngine(t, f, o), b)
				if first == nil {
					first = s
				}
				if !reflect.DeepEqual(s, first) {
					t.Errorf("other bytes the second time: weights differ by %.1e, moments by %.1e", relative(s.Weights, first.Weights), relative(s.M, first.M))
				}
			}
		})
	}
}

// trainThree makes three steps from a random adapter.
func trainThree(t *testing.T, e *Engine, b *dataset.Batch) *checkpoint.State {
	t.Helper()
	randomAdapter(t, e)
	before, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	for step := 1; step <= 3; step++ {
		accumulate(t, e, b, 1/float32(b.Trained))
		if norm, err := e.Step(step, 1e-3, 1); err != nil || !(norm < 1e6) {
			t.Fatalf("step %d: gradient norm %g, error %v", step, norm, err)
		}
	}
	after, err := e.State()
	if err != nil {
		t.Fatal(err)
	}
	if relative(after.Weights, before.Weights) < 1e-4 {
		t.Fatal("three steps changed nothing")
	}
	return after
}

// A gradient too large for F16 is met with a smaller loss scale, and the steps after it train.
func TestDeviceLowersTheLossScale(t *testing.T) {
	module, b := device(t), parityBatch(parityVocab)
	c := deviceCase{"scale", "llama", gguf.Q8_0, "all", 0}
	o := c.options(b)
	o.Module, o.Activation = module, ggml.F16
	e := startEngine(t, c.model(t), o)
	randomAdapter(t, e)
	e.scale.scale = 1 << 40
	left := 0
	for ; left < 40; left++ {
		before := e.LossScale()
		accumulate(t, e, b, 1/float32(b.Trained))
		if _, err := e.Step(1, 1e-3, 1); err != nil {
			t.Fatal(err)
		}
		if e.LossScale() == before {
			break
		}
	}
	if left == 0 || left == 40 || e.LossScale() < 1<<8 {
		t.Errorf("%d steps were left out, the scale is %g", left, e.LossScale())
	}
}
