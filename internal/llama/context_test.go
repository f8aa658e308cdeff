package llama_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

func TestLogitsDependOnThePastOnly(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	a := allLogits(t, c, encode(t, m, "the function"))
	b := allLogits(t, c, encode(t, m, "the fuzz"))
	if d := distance(t, a[:1], b[:1]); d != 0 {
		t.Errorf("the same first token gives logits %g apart", d)
	}
	if d := distance(t, a[len(a)-1:], b[len(b)-1:]); d < 1e-2 {
		t.Errorf("other texts give logits only %g apart", d)
	}
}

func TestSequencesInOneBatchAreIndependent(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	texts := []string{"the function", "a", "in there", "re"}
	single := newContext(t, m, llama.ContextOptions{Threads: 1})
	c := newContext(t, m, llama.ContextOptions{Threads: 1, Sequences: len(texts)})
	var batch llama.Batch
	var want [][]float32
	for seq, text := range texts {
		tokens := encode(t, m, text)
		want = append(want, allLogits(t, single, tokens)...)
		for i, token := range tokens {
			batch.Add(token, int32(i), int32(seq), true)
		}
	}
	if err := c.Decode(batch); err != nil {
		t.Fatal(err)
	}
	var got [][]float32
	for i := range batch.Len() {
		got = append(got, c.Logits(i))
	}
	if d := distance(t, got, want); d > 1e-4 {
		t.Errorf("logits in a batch are %g from those alone", d)
	}
}

func TestLogitsOnlyWhereAsked(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	tokens := encode(t, m, "abcdef")
	all := allLogits(t, c, tokens)
	c.ClearMemory()
	var b llama.Batch
	for i, token := range tokens {
		b.Add(token, int32(i), 0, i%2 == 1)
	}
	if err := c.Decode(b); err != nil {
		t.Fatal(err)
	}
	for i := range tokens {
		row := c.Logits(i)
		if i%2 == 0 {
			if row != nil {
				t.Errorf("logits after token %d were not asked", i)
			}
			continue
		}
		if d := distance(t, [][]float32{row}, all[i:i+1]); d > 1e-4 {
			t.Errorf("logits after token %d are %g off", i, d)
		}
	}
	if c.Logits(-1) != nil || c.Logits(len(tokens)) != nil {
		t.Error("logits outside the batch")
	}
}

func TestDecodeRefusesBadBatches(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1, Ctx: 32, Batch: 8, Sequences: 2})
	one := func(token, pos, seq int32) llama.Batch {
		var b llama.Batch
		b.Add(token, pos, seq, true)
		return b
	}
	var long llama.Batch
	long.AddPrompt(make([]int32, 9), 0, 0)
	for name, b := range map[string]llama.Batch{
		"empty": {}, "uneven": {Tokens: []int32{1}}, "token": one(1<<20, 0, 0), "negative token": one(-1, 0, 0),
		"sequence": one(1, 0, 2), "position": one(1, -1, 0), "too long": long,
	} {
		if err := c.Decode(b); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
	if err := c.Decode(one(1, 0, 1)); err != nil {
		t.Errorf("a good batch after bad ones: %v", err)
	}
}

func TestFullContext(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1, Ctx: 256, Batch: 256})
	room := c.Options().Ctx
	var b llama.Batch
	b.AddPrompt(make([]int32, room), 0, 0)
	if err := c.Decode(b); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	b.Add(1, int32(room), 0, true)
	if err := c.Decode(b); !errors.Is(err, llama.ErrContextFull) {
		t.Errorf("token %d of %d: %v", room+1, room, err)
	}
	c.ClearMemory()
	b.Pos[0] = 0
	if err := c.Decode(b); err != nil {
		t.Errorf("after clearing: %v", err)
	}
}

func TestForgetRewindsASequence(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	tokens := encode(t, m, "abcd")
	want := allLogits(t, c, tokens)
	if !c.Forget(0, 2) {
		t.Fatal("not possible")
	}
	var b llama.Batch
	b.AddPrompt(tokens[2:], 2, 0)
	if err := c.Decode(b); err != nil {
		t.Fatal(err)
	}
	if d := distance(t, [][]float32{c.Logits(1)}, want[3:]); d > 1e-4 {
		t.Errorf("logits after rewinding are %g off", d)
	}
}

func TestCacheTypesAndFlashAttention(t *testing.T) {
	m := tiny(t, llamatest.Options{Embd: 128})
	tokens := encode(t, m, "the function in there")
	want := allLogits(t, newContext(t, m, llama.ContextOptions{Threads: 1}), tokens)
	for name, c := range map[string]struct {
		o     llama.ContextOptions
		bound float64
	}{
		"f16":         {llama.ContextOptions{TypeK: llama.TypeF16, TypeV: llama.TypeF16}, 2e-2},
		"flash":       {llama.ContextOptions{FlashAttn: llama.FlashOn, TypeK: llama.TypeF16, TypeV: llama.TypeF16}, 2e-2},
		"flash, q8_0": {llama.ContextOptions{FlashAttn: llama.FlashOn, TypeK: llama.TypeQ8_0, TypeV: llama.TypeQ8_0}, 0.2},
	} {
		c.o.Threads = 1
		d := distance(t, allLogits(t, newContext(t, m, c.o), tokens), want)
		if d == 0 || d > c.bound {
			t.Errorf("%s: logits %g from those of an F32 cache, want above 0 and at most %g", name, d, c.bound)
		}
	}
	for name, o := range map[string]llama.ContextOptions{
		"quantised values without flash attention": {TypeV: llama.TypeQ8_0},
		"unknown type":       {TypeK: 12},
		"too many sequences": {Sequences: 1 << 20},
		"too long":           {Ctx: 1 << 40},
	} {
		if _, err := m.NewContext(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGenerate(t *testing.T) {
	m := tiny(t, llamatest.Options{Seed: 3})
	c := newContext(t, m, llama.ContextOptions{Threads: 1, Ctx: 256, Batch: 4})
	greedy := sampler(t, llama.SamplerOptions{})
	prompt := encode(t, m, "the function")
	var seen []int32
	g, err := c.Generate(context.Background(), prompt, greedy, 12, func(token int32) error {
		seen = append(seen, token)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := argmaxes(t, m, prompt, len(g.Tokens)); !slices.Equal(g.Tokens, want) || !slices.Equal(seen, want) {
		t.Errorf("generated %v, emitted %v, want %v", g.Tokens, seen, want)
	}
	if len(g.Tokens) == 12 != (g.Reason == llama.StopLength) || g.PromptTokens != len(prompt) {
		t.Errorf("%d tokens after %d, stopped by %q", len(g.Tokens), g.PromptTokens, g.Reason)
	}
}

// argmaxes extends tokens greedily, computing everything anew at each step.
func argmaxes(t *testing.T, m *llama.Model, tokens []int32, n int) []int32 {
	t.Helper()
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	all := slices.Clone(tokens)
	for range n {
		rows := allLogits(t, c, all)
		last := rows[len(rows)-1]
		all = append(all, int32(slices.Index(last, slices.Max(last))))
	}
	return all[len(tokens):]
}

func TestGenerateStops(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1, Ctx: 256})
	draw := sampler(t, llama.SamplerOptions{Temp: 50, Seed: 1})
	prompt := encode(t, m, strings.Repeat("z", 240))
	g, err := c.Generate(context.Background(), prompt, draw, 0, nil)
	if err != nil || g.Reason != llama.StopContext && g.Reason != llama.StopEnd {
		t.Errorf("without a limit: %q, %v", g.Reason, err)
	}
	if _, err := c.Generate(context.Background(), make([]int32, 256), draw, 1, nil); !errors.Is(err, llama.ErrContextFull) {
		t.Errorf("a prompt as long as the context: %v", err)
	}
	if _, err := c.Generate(context.Background(), nil, draw, 1, nil); err == nil {
		t.Error("an empty prompt was run")
	}
	broken := errors.New("broken pipe")
	if g, err := c.Generate(context.Background(), prompt[:2], draw, 9, func(int32) error { return broken }); !errors.Is(err, broken) || len(g.Tokens) != 1 {
		t.Errorf("emit fails: %d tokens, %v", len(g.Tokens), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g, err = c.Generate(ctx, prompt[:2], draw, 9, func(int32) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || len(g.Tokens) != 1 {
		t.Errorf("cancelled: %d tokens, %v", len(g.Tokens), err)
	}
}

func sampler(t *testing.T, o llama.SamplerOptions) *llama.Sampler {
	t.Helper()
	s, err := llama.NewSampler(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s); closed(t, s) })
	return s
}

func TestSamplerIsSeededAndFollowsTheDistribution(t *testing.T) {
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	rows := allLogits(t, c, encode(t, m, "the"))
	last := len(rows) - 1
	draw := func(o llama.SamplerOptions, n int) []int32 {
		s := sampler(t, o)
		var tokens []int32
		for range n {
			token, err := s.Sample(c, last)
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
		return tokens
	}
	warm := llama.SamplerOptions{Temp: 1, Seed: 7}
	a := draw(warm, 4000)
	if !slices.Equal(a, draw(warm, 4000)) {
		t.Error("the same seed draws other tokens")
	}
	warm.Seed = 8
	if slices.Equal(a, draw(warm, 4000)) {
		t.Error("another seed draws the same tokens")
	}
	best := int32(slices.Index(rows[last], slices.Max(rows[last])))
	p := softmax(rows[last], best)
	if got := share(a, best); math.Abs(got-p) > 5*math.Sqrt(p/4000) {
		t.Errorf("the most likely token was drawn in %.4f of cases, its probability is %.4f", got, p)
	}
	for name, o := range map[string]llama.SamplerOptions{
		"greedy": {}, "top-k 1": {Temp: 2, TopK: 1}, "tiny top-p": {Temp: 2, TopP: 1e-6}, "min-p 1": {Temp: 2, MinP: 1},
	} {
		if got := share(draw(o, 50), best); got != 1 {
			t.Errorf("%s: the most likely token in %.2f of cases", name, got)
		}
	}
	if got := share(draw(llama.SamplerOptions{RepeatPenalty: 1e6}, 2), best); got != 0.5 {
		t.Errorf("a huge repeat penalty: the most likely token in %.2f of two cases", got)
	}
}

func softmax(logits []float32, token int32) float64 {
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l - logits[token]))
	}
	return 1 / sum
}

func share(tokens []int32, token int32) float64 {
	n := 0
	for _, t := range tokens {
		if t == token {
			n++
		}
	}
	return float64(n) / float64(len(tokens))
}

func TestSamplerRefusesBadOptions(t *testing.T) {
	for _, o := range []llama.SamplerOptions{{Temp: -1}, {TopK: -1}, {TopP: 2}, {MinP: -0.5}, {RepeatPenalty: -1}} {
		if s, err := llama.NewSampler(o); err == nil {
			closed(t, s)
			t.Errorf("%+v was accepted", o)
		}
	}
	m := tiny(t, llamatest.Options{})
	c := newContext(t, m, llama.ContextOptions{Threads: 1})
	if _, err := sampler(t, llama.SamplerOptions{}).Sample(c, 0); err == nil {
		t.Error("sampled before any decode")
	}
}
