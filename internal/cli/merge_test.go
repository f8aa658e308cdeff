package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/handover/card"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
	"github.com/qlora/qlora/internal/lora"
	"github.com/qlora/qlora/internal/ui"
)

// call runs the command tree and gives exit code, stdout and stderr.
func call(args ...string) (code int, out, errOut string) {
	s, o, e := ui.Test()
	code = Main(args, s)
	return code, o.String(), e.String()
}

// mergeFiles are a tiny base, its adapter (rank 4, all linears), and a path to
// write to.
func mergeFiles(t *testing.T, o llamatest.Options) (base, adapter, out string) {
	t.Helper()
	dir := t.TempDir()
	base, adapter, out = filepath.Join(dir, "base.gguf"), filepath.Join(dir, "adapter.gguf"), filepath.Join(dir, "out.gguf")
	llamatest.Model(t, base, o)
	llamatest.Adapter(t, adapter, o, llamatest.AdapterOptions{})
	return base, adapter, out
}

func openGGUF(t *testing.T, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func tensorValues(t *testing.T, f *gguf.File, ti gguf.TensorInfo) []float32 {
	t.Helper()
	out := make([]float32, ti.Elements())
	if err := ggml.Dequantize(ggml.Type(ti.Type), f.Data(ti), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// offBy is the relative distance of two tensors.
func offBy(got, want []float32) float64 {
	difference, norm := ggml.Compare(got, want)
	return math.Sqrt(difference / norm)
}

// llamatest.Merged computes W + scale·B·A on its own.
func TestMergeIsExact(t *testing.T) {
	o := llamatest.Options{}
	base, adapter, out := mergeFiles(t, o)
	want := filepath.Join(t.TempDir(), "want.gguf")
	llamatest.Merged(t, want, o, llamatest.AdapterOptions{}, 0.75)
	if code, _, errOut := call("merge", "-m", base, "--lora", adapter+":0.5,"+adapter+":0.25", "-o", out); code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	got, exact := openGGUF(t, out), openGGUF(t, want)
	metadata := slices.DeleteFunc(slices.Clone(got.KVs()), func(kv gguf.KV) bool { return kv.Key == card.AdaptersKey })
	if !reflect.DeepEqual(metadata, exact.KVs()) || len(got.KVs()) != len(metadata)+1 {
		t.Error("the metadata changed")
	}
	for _, ti := range exact.Tensors() {
		mine, ok := got.Tensor(ti.Name)
		if !ok || mine.Type != gguf.F32 {
			t.Fatalf("%s is %+v", ti.Name, mine)
		}
		if d := offBy(tensorValues(t, got, mine), tensorValues(t, exact, ti)); d > 1e-6 {
			t.Errorf("%s is off by %g", ti.Name, d)
		}
	}
}

// One adapter written by this program: applied by libllama, and merged by us.
func TestMergedModelIsTheAdaptedModel(t *testing.T) {
	base, _, out := mergeFiles(t, llamatest.Options{})
	adapter := filepath.Join(t.TempDir(), "ours.gguf")
	writeRandomAdapter(t, adapter, base)
	applied := logitsOf(t, base, adapter)
	plain := logitsOf(t, base, "")
	if d := offBy(plain, applied); d < 0.05 {
		t.Fatalf("the adapter changes logits by %g only", d)
	}
	for kind, limit := range map[string]float64{"keep": 1e-4, "f16": 5e-3} {
		if code, _, errOut := call("merge", "-m", base, "--lora", adapter, "-o", out, "--type", kind); code != 0 {
			t.Fatalf("%s: exit code %d: %s", kind, code, errOut)
		}
		if d := offBy(logitsOf(t, out, ""), applied); d > limit {
			t.Errorf("%s: logits are off by %g, want at most %g", kind, d, limit)
		}
	}
}

func writeRandomAdapter(t *testing.T, path, basePath string) {
	t.Helper()
	const seed = 21
	base := openGGUF(t, basePath)
	config := lora.Config{Rank: 6, Alpha: 9, RSLoRA: true, Target: "all,output"}
	infos, err := lora.Targets(config, base)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	a := &lora.Adapter{Arch: "llama", Alpha: config.FileAlpha(), Name: "random"}
	for _, ti := range infos {
		p := lora.Pair{Base: ti.Name, Rank: config.Rank, NIn: ti.Dims[0], NOut: ti.Dims[1],
			A: lora.Init(seed, ti.Name, config.Rank, int(ti.Dims[0])), B: make([]float32, ti.Dims[1]*int64(config.Rank))}
		for i := range p.B {
			p.B[i] = float32(rng.NormFloat64()) / 8
		}
		a.Pairs = append(a.Pairs, p)
	}
	if err := lora.WriteAdapter(path, a, base); err != nil {
		t.Fatal(err)
	}
}

// logitsOf runs a few tokens through libllama, with F32 caches.
func logitsOf(t *testing.T, model, adapter string) []float32 {
	t.Helper()
	m, err := llama.Load(model, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	c, err := m.NewContext(llama.ContextOptions{Ctx: 64, Threads: 1, TypeK: uint32(gguf.F32), TypeV: uint32(gguf.F32)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if adapter != "" {
		a, err := m.LoadAdapter(adapter)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if err := c.SetAdapters([]llama.AdapterScale{{Adapter: a, Scale: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	var b llama.Batch
	for i := range int32(12) {
		b.Add(9+17*i%200, i, 0, true)
	}
	if err := c.Decode(b); err != nil {
		t.Fatal(err)
	}
	var out []float32
	for i := range b.Len() {
		out = append(out, c.Logits(i)...)
	}
	return out
}

func TestMergeReportsFallbacks(t *testing.T) {
	base, adapter, out := mergeFiles(t, llamatest.Options{Layers: 3})
	code, stdout, stderr := call("merge", "-m", base, "--lora", adapter, "-o", out, "--type", "q4_k_m", "--tensors")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"attn_q.weight of block 0-2: rows of 32 values do not fit Q4_K, stored as Q5_0", "output.weight: rows of 32 values do not fit"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr does not say %q:\n%s", want, stderr)
		}
	}
	if !strings.Contains(stdout, "21 of 30 tensors adapted") || !strings.Contains(stdout, "largest relative error by conversion") {
		t.Errorf("stdout: %s", stdout)
	}
	f := openGGUF(t, out)
	if q, _ := f.Tensor("blk.1.attn_q.weight"); q.Type != gguf.Q5_0 {
		t.Errorf("attn_q is %s", q.Type)
	}
}

func TestMergeEvents(t *testing.T) {
	base, adapter, out := mergeFiles(t, llamatest.Options{})
	code, stdout, stderr := call("merge", "-m", base, "--lora", adapter+":2", "-o", out, "--type", "q8_0", "--json")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	tensors := 0
	var last struct {
		Type     string `json:"message_type"`
		Name     string `json:"name"`
		From, To string
		Adapted  any
		Error    float64 `json:"relative_error"`
		Change   float64
		Adapters []mergeAdapter
		Worst    float64 `json:"max_relative_error"`
	}
	worst := 0.0
	for line := range strings.Lines(stdout) {
		last.Adapted = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if last.Type != "tensor" {
			continue
		}
		tensors++
		worst = max(worst, last.Error)
		if last.Name == "blk.0.attn_q.weight" && (last.From != "F32" || last.To != "Q8_0" || last.Adapted != true || last.Error == 0 || last.Change == 0) {
			t.Errorf("event %+v", last)
		}
	}
	if tensors != 21 || last.Type != "summary" || last.Adapted != 14.0 || last.Worst != worst || worst > 0.02 {
		t.Errorf("%d tensor events, worst %g, then %+v", tensors, worst, last)
	}
	if len(last.Adapters) != 1 || last.Adapters[0] != (mergeAdapter{adapter, 2, 14}) {
		t.Errorf("adapters %+v", last.Adapters)
	}
}

func TestMergeRefusesItsInputs(t *testing.T) {
	base, adapter, out := mergeFiles(t, llamatest.Options{})
	before, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(base, out); err != nil {
		t.Fatal(err)
	}
	symlink := filepath.Join(t.TempDir(), "link.gguf")
	if err := os.Symlink(adapter, symlink); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{base, adapter, out, symlink, pipe, filepath.Dir(base)} {
		code, _, errOut := call("merge", "-m", base, "--lora", adapter, "-o", to)
		if code != ui.ExitUsage || !strings.Contains(errOut, to) {
			t.Errorf("-o %s: exit code %d: %s", to, code, errOut)
		}
	}
	if after, err := os.ReadFile(base); err != nil || string(after) != string(before) {
		t.Errorf("the base changed: %v", err)
	}
}

func TestMergeBadInput(t *testing.T) {
	base, adapter, out := mergeFiles(t, llamatest.Options{})
	dir := t.TempDir()
	whole, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cut := write("cut.gguf", whole[:len(whole)/2])
	text := write("text.gguf", []byte("not a model at all"))
	absurd := append([]byte(nil), whole...)
	copy(absurd[8:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}) // number of tensors
	lengths := write("absurd.gguf", absurd)
	missing := filepath.Join(dir, "missing.gguf")
	foreign, wide := filepath.Join(dir, "foreign.gguf"), filepath.Join(dir, "wide.gguf")
	llamatest.Adapter(t, foreign, llamatest.Options{}, llamatest.AdapterOptions{Arch: "qwen2"})
	llamatest.Adapter(t, wide, llamatest.Options{Embd: 64}, llamatest.AdapterOptions{})
	for _, tt := range []struct {
		model, adapter string
		extra          []string
		code           int
		says           []string
	}{
		{missing, adapter, nil, 4, []string{"missing.gguf", "no such file"}},
		{base, missing, nil, 4, []string{"missing.gguf", "no such file", "hint: list what is there"}},
		{cut, adapter, nil, 4, []string{"cut.gguf", "truncated", "at byte"}},
		{text, adapter, nil, 4, []string{"text.gguf", "not a GGUF file"}},
		{lengths, adapter, nil, 4, []string{"absurd.gguf", "number of tensors"}},
		{base, base, nil, 4, []string{"base.gguf", "not a LoRA adapter"}},
		{base, foreign, nil, 4, []string{"foreign.gguf", "base.gguf", `"qwen2"`}},
		{base, wide, nil, 4, []string{"wide.gguf", "base.gguf", "blk.0.attn_q.weight is 64 x 64"}},
		{base, adapter + ":nan", nil, 2, []string{"finite"}},
		{base, adapter, []string{"--type", "q9"}, 2, []string{"q9", "q4_k_m"}},
		{base, adapter, []string{"--type", "q6_k", "-o", filepath.Join(text, "x.gguf")}, 1, []string{"make the folder of", "hint: name a file in another folder"}},
		{"", adapter, nil, 2, []string{"-m"}},
	} {
		args := append([]string{"merge", "-m", tt.model, "--lora", tt.adapter, "-o", out}, tt.extra...)
		code, _, errOut := call(args...)
		if code != tt.code {
			t.Errorf("%v: exit code %d, want %d: %s", args, code, tt.code, errOut)
		}
		for _, want := range tt.says {
			if !strings.Contains(errOut, want) {
				t.Errorf("%v: error does not say %q: %s", args, want, errOut)
			}
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: an output was written", args)
		}
	}
}

func TestSplitScale(t *testing.T) {
	for arg, want := range map[string]string{
		"a.gguf": "a.gguf 1", "a.gguf:0.5": "a.gguf 0.5", "a:b.gguf": "a:b.gguf 1", "x:y:-2": "x:y -2", "c:": "c: 1",
	} {
		path, factor, err := splitScale(arg)
		if got := fmt.Sprint(path, " ", factor); err != nil || got != want {
			t.Errorf("splitScale(%q) = %s, %v, want %s", arg, got, err, want)
		}
	}
}

func TestRanges(t *testing.T) {
	if got := ranges([]int{7, 0, 1, 3, 2, 9, 10}); got != "0-3, 7, 9-10" {
		t.Errorf("got %s", got)
	}
}
