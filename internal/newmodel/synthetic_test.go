package newmodel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/engine"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/lora"
)

// testSynthetic is the tiny preset with a vocabulary of its own.
func testSynthetic(t *testing.T, kind string, pure bool) Synthetic {
	t.Helper()
	f, err := gguf.Open(writeTest(t, testConfig(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := Synthetic{Preset: tiny, Std: DefaultStd, Seed: 1}
	if c.Vocabulary, err = Vocabulary(f, tiny.Vocab); err != nil {
		t.Fatal(err)
	}
	if c.Storage, err = ParseStorage(kind, pure); err != nil {
		t.Fatal(err)
	}
	return c
}

func writeSynthetic(t *testing.T, c Synthetic) (string, Made) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "synthetic.gguf")
	made, err := WriteSynthetic(context.Background(), path, c)
	if err != nil {
		t.Fatal(err)
	}
	return path, made
}

func openSynthetic(t *testing.T, c Synthetic) *gguf.File {
	t.Helper()
	path, _ := writeSynthetic(t, c)
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestEveryTypeHasTheWantedDeviation(t *testing.T) {
	for _, kind := range append(StorageNames()[:len(uniform)], "q2_k") {
		t.Run(kind, func(t *testing.T) {
			f := openSynthetic(t, testSynthetic(t, kind, true))
			for _, info := range f.Tensors() {
				values := make([]float32, info.Elements())
				if err := ggml.Dequantize(ggml.Type(info.Type), f.Data(info), values); err != nil {
					t.Fatal(err)
				}
				mean, std := moments(values)
				switch {
				case strings.HasSuffix(info.Name, ".bias"), strings.HasSuffix(info.Name, "_norm.weight"):
					want := 0.0
					if strings.HasSuffix(info.Name, "_norm.weight") {
						want = 1
					}
					if mean != want || std != 0 || info.Type != gguf.F32 {
						t.Errorf("%s: mean %g, deviation %g, %s", info.Name, mean, std, info.Type)
					}
				default:
					// the smallest matrix has 128 super-blocks, whose scales vary
					if math.Abs(mean) > 0.03*DefaultStd || math.Abs(std/DefaultStd-1) > 0.03 {
						t.Errorf("%s: mean %.2e, deviation %.5f, want 0 and %g", info.Name, mean, std, DefaultStd)
					}
					if got := strings.ToLower(info.Type.String()); got != kind {
						t.Errorf("%s is %s", info.Name, got)
					}
				}
			}
		})
	}
}

func moments(values []float32) (mean, std float64) {
	for _, v := range values {
		mean += float64(v) / float64(len(values))
	}
	for _, v := range values {
		std += (float64(v) - mean) * (float64(v) - mean) / float64(len(values))
	}
	return mean, math.Sqrt(std)
}

func TestSyntheticBytesDependOnTheSeedAlone(t *testing.T) {
	c := testSynthetic(t, "q4_k_m", false)
	c.Preset.Vocab = 5000 // the head takes more than a chunk
	f, err := gguf.Open(writeTest(t, testConfig(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c.Vocabulary, err = Vocabulary(f, c.Preset.Vocab); err != nil {
		t.Fatal(err)
	}
	read := func(seed uint64, workers int) string {
		c.Seed, c.Workers = seed, workers
		path, _ := writeSynthetic(t, c)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	first := read(1, 1)
	if read(1, 3) != first || read(1, 0) != first {
		t.Error("the number of workers changes the bytes")
	}
	if read(2, 1) == first {
		t.Error("another seed gave the same file")
	}
}

// TestChunksDiffer finds a stream that forgets the span, the chunk or the tensor.
func TestChunksDiffer(t *testing.T) {
	const width, chunks = 1024, 2*chunksPerSpan + 3
	list := []weight{matrix("a", width, chunks*chunkBytes/4/width, 1), matrix("b", width, 1, 1)}
	path := filepath.Join(t.TempDir(), "x.gguf")
	w, err := gguf.Create(path, nil, infos(list))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	s := stream{list: list, seed: 1, workers: 2}
	if err := errors.Join(s.writeTo(context.Background(), w), w.Commit()); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]string{}
	for _, info := range f.Tensors() {
		for at := 0; at < int(info.Size); at += chunkBytes {
			here := fmt.Sprintf("%s at %d", info.Name, at)
			begin := string(f.Data(info)[at : at+64])
			if there, ok := seen[begin]; ok {
				t.Fatalf("%s is as %s", here, there)
			}
			seen[begin] = here
		}
	}
	if len(seen) != chunks+1 {
		t.Errorf("%d chunks, want %d", len(seen), chunks+1)
	}
}

// TestMixturesAreLibllamas quantises an F32 model of 16 layers and compares types.
func TestMixturesAreLibllamas(t *testing.T) {
	c := testSynthetic(t, "f32", false)
	c.Preset.Shape.Layers = 16
	c.Preset.Shape.FFN = 256
	path, _ := writeSynthetic(t, c)
	for _, kind := range mixed {
		out := filepath.Join(t.TempDir(), "out.gguf")
		if err := llama.Quantize(path, out, llama.QuantizeOptions{Type: kind, Threads: 1}); err != nil {
			t.Fatal(err)
		}
		theirs, err := gguf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		if c.Storage, err = ParseStorage(kind, false); err != nil {
			t.Fatal(err)
		}
		ours := openSynthetic(t, c)
		for _, want := range theirs.Tensors() {
			if got, _ := ours.Tensor(want.Name); got.Type != want.Type {
				t.Errorf("%s: %s is %s, libllama makes it %s", kind, want.Name, got.Type, want.Type)
			}
		}
		if a, b := fileType(t, ours), fileType(t, theirs); a != b {
			t.Errorf("%s: file type %d, libllama writes %d", kind, a, b)
		}
	}
}

func fileType(t *testing.T, f *gguf.File) uint64 {
	t.Helper()
	n, ok := f.Uint("general.file_type")
	if !ok {
		t.Fatal("no general.file_type")
	}
	return n
}

func TestNarrowRowsFallBack(t *testing.T) {
	c := testSynthetic(t, "q4_k", false)
	c.Preset.Shape.FFN = 288
	path, made := writeSynthetic(t, c)
	if want := []string{"blk.0.ffn_down.weight: Q5_0 for Q4_K", "blk.1.ffn_down.weight: Q5_0 for Q4_K"}; !slices.Equal(made.Fallbacks, want) {
		t.Errorf("fallbacks %v, want %v", made.Fallbacks, want)
	}
	if made.Types["Q5_0"] != 2 || made.Types["Q4_K"] != 14 {
		t.Errorf("types %v", made.Types)
	}
	if info, err := os.Stat(path); err != nil || info.Size() < made.Bytes {
		t.Errorf("%d bytes of tensors in a file of %v, %v", made.Bytes, info, err)
	}
}

// TestSyntheticModelsRunAndTrain loads every storage into libllama, asks it for
// logits, and trains an adapter on it.
func TestSyntheticModelsRunAndTrain(t *testing.T) {
	for _, kind := range StorageNames() {
		t.Run(kind, func(t *testing.T) {
			path, _ := writeSynthetic(t, testSynthetic(t, kind, false))
			llamaLoss(t, path)
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			e, err := engine.New(f, engine.Options{Method: engine.MethodQLoRA, Rows: 1, Length: 16, Threads: 1, Recompute: engine.RecomputeNone,
				LoRA: lora.Config{Rank: 4, Alpha: 8, Target: "all"}, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			b := testBatch(16)
			loss, err := e.Accumulate(b, 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			nearUniform(t, "the engine", loss/float64(b.Trained))
			if norm, err := e.Step(1, 1e-4, 1); err != nil || !(norm > 0) || math.IsInf(norm, 0) {
				t.Errorf("gradient norm %g, %v", norm, err)
			}
		})
	}
}

func TestLlamaArchitecture(t *testing.T) {
	c := testSynthetic(t, "q4_k_m", false)
	c.Preset.Arch, c.Preset.Bias = "llama", false
	path, made := writeSynthetic(t, c)
	llamaLoss(t, path)
	if made.Types["F32"] != 2*2+1 {
		t.Errorf("%d F32 tensors, want the norms alone", made.Types["F32"])
	}
}

func testBatch(n int) *dataset.Batch {
	b := &dataset.Batch{Rows: 1, Length: n, Trained: n}
	for i := range n {
		token := int32(i * 97 % tiny.Vocab)
		b.Tokens, b.Targets = append(b.Tokens, token), append(b.Targets, (token+97)%int32(tiny.Vocab))
		b.Positions, b.Segments = append(b.Positions, int32(i)), append(b.Segments, 0)
	}
	return b
}

// nearUniform wants the loss of a model that knows nothing: logits of small
// deviation s add s^2/2 to the logarithm of the vocabulary.
func nearUniform(t *testing.T, who string, loss float64) {
	t.Helper()
	if want := math.Log(float64(tiny.Vocab)); !(math.Abs(loss-want) < 0.3) {
		t.Errorf("%s has loss %.3f, want about %.3f", who, loss, want)
	}
}

func llamaLoss(t *testing.T, path string) {
	t.Helper()
	m, err := llama.Load(path, llama.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Vocab().Size() != tiny.Vocab {
		t.Errorf("libllama reads %d tokens, want %d", m.Vocab().Size(), tiny.Vocab)
	}
	ctx, err := m.NewContext(llama.ContextOptions{Ctx: 32, Batch: 32, UBatch: 32, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer ctx.Close()
	b := testBatch(16)
	last, err := ctx.Prefill(context.Background(), b.Tokens)
	if err != nil {
		t.Fatal(err)
	}
	sum, mean := 0.0, 0.0
	logits := ctx.Logits(last)
	for _, l := range logits {
		sum += math.Exp(float64(l))
		mean += float64(l) / float64(len(logits))
	}
	nearUniform(t, "libllama", math.Log(sum)-mean) // the mean over all tokens as the target
}

func TestWriteSyntheticStops(t *testing.T) {
	c := testSynthetic(t, "q8_0", false)
	ctx, cancel := context.WithCancel(context.Background())
	c.Progress = func(done, total int64) { cancel() }
	dir := t.TempDir()
	if _, err := WriteSynthetic(ctx, filepath.Join(dir, "x.gguf"), c); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for says, change := range map[string]func(*Synthetic){
		"init-std":   func(c *Synthetic) { c.Std = math.NaN() },
		"vocabulary": func(c *Synthetic) { c.Preset.Vocab = 0 },
		"embd":       func(c *Synthetic) { c.Preset.Shape.Embd = 0 },
	} {
		bad := c
		change(&bad)
		if _, err := WriteSynthetic(context.Background(), filepath.Join(dir, "x.gguf"), bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
	if _, err := ParseStorage("q7_k", false); err == nil || !strings.Contains(fmt.Sprint(err), "q4_k_m") {
		t.Errorf("an unknown type: %v", err)
	}
}
