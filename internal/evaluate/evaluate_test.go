package evaluate_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/evaluate"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func tiny(t *testing.T, o llamatest.Options) *llama.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	llamatest.Model(t, path, o)
	m, err := llama.Load(path, llama.LoadOptions{MMap: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, m) })
	return m
}

func contextFor(t *testing.T, m *llama.Model, samples []dataset.Sample) *llama.Context {
	t.Helper()
	c, err := m.NewContext(evaluate.ContextOptions(samples, 64, llama.ContextOptions{Threads: 1}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, c) })
	return c
}

func closed(t *testing.T, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// randomSamples have lengths from 1 to longest and masks of several shapes.
func randomSamples(seed uint64, n, longest, vocab int) []dataset.Sample {
	rng := rand.New(rand.NewPCG(seed, 0))
	samples := make([]dataset.Sample, n)
	for i := range samples {
		length := 1 + rng.IntN(longest)
		s := dataset.Sample{Tokens: make([]int32, length), Train: make([]bool, length), File: "random.jsonl", Line: i + 1}
		share := []float64{0, 0.2, 1}[rng.IntN(3)]
		for j := range s.Tokens {
			s.Tokens[j] = int32(rng.IntN(vocab))
			s.Train[j] = j > 0 && rng.Float64() < share
		}
		samples[i] = s
	}
	return samples
}

// plainLoss runs one sample at a time and asks for all logits.
func plainLoss(t *testing.T, m *llama.Model, samples []dataset.Sample) (nats float64, tokens int, bytes int64) {
	t.Helper()
	c, err := m.NewContext(llama.ContextOptions{Ctx: 1024, Batch: 1024, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, c)
	for _, s := range samples {
		c.ClearMemory()
		var b llama.Batch
		for i, token := range s.Tokens {
			b.Add(token, int32(i), 0, true)
		}
		if err := c.Decode(b); err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(s.Tokens); i++ {
			if !s.Train[i] {
				continue
			}
			row := c.Logits(i - 1)
			var sum float64
			for _, l := range row {
				sum += math.Exp(float64(l))
			}
			nats -= math.Log(math.Exp(float64(row[s.Tokens[i]])) / sum)
			tokens++
			bytes += int64(len(m.Vocab().Text(s.Tokens[i : i+1])))
		}
	}
	return nats, tokens, bytes
}

func TestLossEqualsOneSampleAtATime(t *testing.T) {
	m := tiny(t, llamatest.Options{Seed: 4, Ctx: 1024})
	const seed = 11
	samples := randomSamples(seed, 60, 200, m.Vocab().Size())
	samples = append(samples, randomSamples(seed+1, 1, 1, m.Vocab().Size())...)
	long := randomSamples(seed+2, 40, 900, m.Vocab().Size())
	samples = append(samples, long[:4]...)
	seen := 0
	got, err := evaluate.MeasureLoss(context.Background(), contextFor(t, m, samples), samples, func(n int) { seen = n })
	if err != nil {
		t.Fatal(err)
	}
	nats, tokens, bytes := plainLoss(t, m, samples)
	if got.Tokens != tokens || got.Bytes != bytes || math.Abs(got.Nats-nats) > 1e-5*nats {
		t.Errorf("seed %d: %+v, want %d tokens, %d bytes, %.6f nats", seed, got, tokens, bytes, nats)
	}
	if seen != len(samples) {
		t.Errorf("progress ended at %d of %d", seen, len(samples))
	}
	again, err := evaluate.MeasureLoss(context.Background(), contextFor(t, m, samples), samples, nil)
	if err != nil || again != got {
		t.Errorf("a second run gave %+v, %v, the first %+v", again, err, got)
	}
}

func TestLossFigures(t *testing.T) {
	l := evaluate.Loss{Samples: 1, Tokens: 4, Bytes: 8, Nats: 4 * math.Ln2}
	if l.Mean() != math.Ln2 || math.Abs(l.Perplexity()-2) > 1e-12 || math.Abs(l.BitsPerByte()-0.5) > 1e-12 {
		t.Errorf("mean %g, perplexity %g, bits per byte %g", l.Mean(), l.Perplexity(), l.BitsPerByte())
	}
}

func TestLossNamesWhatFails(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	samples := randomSamples(3, 1, 1, 10)
	samples[0].Tokens, samples[0].Train = make([]int32, 2000), make([]bool, 2000)
	samples[0].Train[1] = true
	c := contextFor(t, m, nil)
	if _, err := evaluate.MeasureLoss(context.Background(), c, samples, nil); err == nil || !strings.Contains(err.Error(), "random.jsonl:1") {
		t.Errorf("a sample longer than the context: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := evaluate.MeasureLoss(ctx, c, samples, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// written returns what the model writes after prompt.
func written(t *testing.T, m *llama.Model, prompt []int32, n int) []int32 {
	t.Helper()
	c := contextFor(t, m, nil)
	greedy, err := llama.NewSampler(llama.SamplerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, greedy)
	g, err := c.Generate(context.Background(), prompt, greedy, n, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g.Tokens
}

// fimSample lays out a gap as package dataset does.
func fimSample(prefix, suffix string, middle []int32) dataset.Sample {
	s := dataset.Sample{File: "fim.jsonl", Line: 1}
	add := func(train bool, tokens ...int32) {
		for _, token := range tokens {
			s.Tokens = append(s.Tokens, token)
			s.Train = append(s.Train, train)
		}
	}
	add(false, llamatest.FIMPrefix)
	for _, b := range []byte(prefix) {
		add(false, llamatest.ByteToken(b))
	}
	add(false, llamatest.FIMSuffix)
	for _, b := range []byte(suffix) {
		add(false, llamatest.ByteToken(b))
	}
	add(false, llamatest.FIMMiddle)
	add(true, middle...)
	add(true, llamatest.EndOfText)
	return s
}

// finished finds a gap that the model fills and then ends by itself.
func finished(t *testing.T, m *llama.Model) dataset.Sample {
	t.Helper()
	for a := byte('a'); a <= 'z'; a++ {
		for b := byte('a'); b <= 'z'; b++ {
			prefix := string([]byte{a, b})
			bare := fimSample(prefix, "}", nil)
			out := written(t, m, bare.Tokens[:len(bare.Tokens)-1], 24)
			if text := m.Vocab().Text(out); len(out) < 24 && len(strings.TrimSpace(text)) > 1 {
				return fimSample(prefix, "}", out)
			}
		}
	}
	t.Fatal("this random model never ends a text; choose another seed")
	return dataset.Sample{}
}

func TestFIM(t *testing.T) {
	m := tiny(t, llamatest.Options{Seed: 6})
	right := finished(t, m)
	wrong := fimSample("func a", "}", []int32{llamatest.ByteToken('q')})
	got, err := evaluate.MeasureFIM(context.Background(), contextFor(t, m, nil), []dataset.Sample{right, wrong}, 10, nil)
	if err != nil || got.Samples != 2 || got.Exact != 1 || got.ExactMatch() != 0.5 {
		t.Errorf("one right and one wrong filling: %+v, %v", got, err)
	}
	if got.Similarity < 0.5 || got.Similarity > 0.75 {
		t.Errorf("mean similarity %.3f, want that of a whole and a bad one", got.Similarity)
	}
}

func TestFIMCountsGapsOnly(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	gap := fimSample("a", "b", []int32{llamatest.ByteToken('c')})
	chat := randomSamples(1, 4, 30, 256)
	for i := range chat {
		for j, token := range chat[i].Tokens {
			if token < 10 {
				chat[i].Tokens[j] = 20
			}
		}
	}
	samples := append(chat, gap, fimSample("no", "middle", nil))
	if n := evaluate.HasFIM(m.Vocab(), samples); n != 1 {
		t.Errorf("%d gaps, want 1", n)
	}
	if n := evaluate.HasFIM(tiny(t, llamatest.Options{NoFIM: true}).Vocab(), samples); n != 0 {
		t.Errorf("%d gaps for a model without the tokens", n)
	}
	many := make([]dataset.Sample, 9)
	for i := range many {
		many[i] = gap
	}
	got, err := evaluate.MeasureFIM(context.Background(), contextFor(t, m, many), many, 4, nil)
	if err != nil || got.Samples != 4 {
		t.Errorf("limit 4: %+v, %v", got, err)
	}
}

func TestEditSimilarity(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"", "", 1}, {"abc", "abc", 1}, {"abc", "", 0}, {"kitten", "sitting", 1 - 3.0/7}, {"flaw", "lawn", 0.5}, {"äö", "äu", 0.5},
	} {
		if got, back := evaluate.EditSimilarity(c.a, c.b), evaluate.EditSimilarity(c.b, c.a); math.Abs(got-c.want) > 1e-12 || got != back {
			t.Errorf("%q and %q: %.4f and %.4f, want %.4f", c.a, c.b, got, back, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	m := tiny(t, llamatest.Options{Seed: 8})
	v := m.Vocab()
	encode := func(text string) []int32 {
		tokens, err := v.Encode(text, true)
		if err != nil {
			t.Fatal(err)
		}
		return tokens
	}
	prompt, answer := encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"), encode("the answer<|im_end|>")
	s := dataset.Sample{Tokens: append(prompt, answer...), File: "chat.jsonl", Line: 7}
	s.Train = make([]bool, len(s.Tokens))
	for i := len(prompt); i < len(s.Train); i++ {
		s.Train[i] = true
	}
	samples := []dataset.Sample{s}
	got, err := evaluate.Answers(context.Background(), contextFor(t, m, samples), samples, 3, 8)
	if err != nil || len(got) != 1 {
		t.Fatalf("%d answers, %v", len(got), err)
	}
	want := evaluate.Answer{
		Where: "chat.jsonl:7", Prompt: "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
		Reference: "the answer", Text: v.Text(written(t, m, prompt, 8)),
	}
	if got[0] != want {
		t.Errorf("got %+v, want %+v", got[0], want)
	}
}
