package evaluate_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/evaluate"
	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/llama/llamatest"
)

// plainDrift computes the divergence of two models on tokens with all logits
// at once.
func plainDrift(t *testing.T, a, b *llama.Model, tokens []int32) (d evaluate.Drift) {
	t.Helper()
	rows := func(m *llama.Model) (out [][]float64) {
		c, err := m.NewContext(llama.ContextOptions{Ctx: 1024, Batch: 1024, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer closed(t, c)
		var batch llama.Batch
		for i, token := range tokens {
			batch.Add(token, int32(i), 0, true)
		}
		if err := c.Decode(batch); err != nil {
			t.Fatal(err)
		}
		for i := range tokens[:len(tokens)-1] {
			var row []float64
			sum := 0.0
			for _, l := range c.Logits(i) {
				row = append(row, math.Exp(float64(l)))
				sum += math.Exp(float64(l))
			}
			for j := range row {
				row[j] /= sum
			}
			out = append(out, row)
		}
		return out
	}
	p, q := rows(a), rows(b)
	for i := range p {
		topP, topQ := 0, 0
		for j := range p[i] {
			d.KL += p[i][j] * math.Log(p[i][j]/q[i][j])
			if p[i][j] > p[i][topP] {
				topP = j
			}
			if q[i][j] > q[i][topQ] {
				topQ = j
			}
		}
		if topP == topQ {
			d.Same++
		}
		d.Nats -= math.Log(q[i][tokens[i+1]])
		d.Tokens++
	}
	return d
}

func TestDriftEqualsOnePassageAtATime(t *testing.T) {
	const seed = 21
	a, b := tiny(t, llamatest.Options{Seed: seed, Ctx: 1024}), tiny(t, llamatest.Options{Seed: seed + 1, Ctx: 1024})
	var passages [][]int32
	for _, s := range append(randomSamples(seed, 3, 60, a.Vocab().Size()), randomSamples(seed, 1, 900, a.Vocab().Size())...) {
		if len(s.Tokens) > 1 {
			passages = append(passages, s.Tokens)
		}
	}
	samples := []dataset.Sample{{Tokens: make([]int32, 1000)}} // for the size of the context
	contexts := []*llama.Context{contextFor(t, a, samples), contextFor(t, b, samples)}
	got, err := evaluate.MeasureDrift(context.Background(), contexts[0], contexts[1], passages, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, tokens := range passages {
		want := plainDrift(t, a, b, tokens)
		if got[i].Tokens != want.Tokens || got[i].Same != want.Same || math.Abs(got[i].KL-want.KL) > 1e-4*want.KL || math.Abs(got[i].Nats-want.Nats) > 1e-4*want.Nats {
			t.Errorf("seed %d, passage of %d tokens: %+v, want %+v", seed, len(tokens), got[i], want)
		}
	}
	own, err := evaluate.MeasureDrift(context.Background(), contexts[0], contexts[0], passages, nil)
	if err != nil || own[0].KL != 0 || own[0].Same != own[0].Tokens {
		t.Errorf("from itself: %+v, %v", own, err)
	}
}

func TestPassages(t *testing.T) {
	v := tiny(t, llamatest.Options{}).Vocab()
	got, cut, err := evaluate.Passages(v, "\n\nfirst one\nstill it\r\n\r\n\n\nsecond\n\nx\n\n", 12)
	if err != nil || len(got) != 2 || cut != 1 || v.Text(got[1]) != "second" || len(got[0]) != 12 {
		t.Errorf("%d passages, %d cut, %v", len(got), cut, err)
	}
	if general, _, _ := evaluate.Passages(v, evaluate.GeneralText, 1<<20); len(general) < 15 {
		t.Errorf("the general text has %d passages", len(general))
	}
}

func TestLanguages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d.jsonl")
	text := `{"lang":"Go","path":"a.c"}` + "\n\n" + `{"path":"x/a.py"}` + "\n" + `{"text":"x"}` + "\n" + `{"language":"rust"}`
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := io.WriteString(w, text)
	if err = errors.Join(err, w.Close(), os.WriteFile(path, packed.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	var samples []dataset.Sample
	for _, line := range []int{1, 3, 4, 5} {
		samples = append(samples, dataset.Sample{File: path, Line: line})
	}
	got, err := evaluate.Languages(context.Background(), samples)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"go", "py", evaluate.UnknownLanguage, "rust"} {
		if got[samples[i].Where()] != want {
			t.Errorf("line %d: %q, want %q", samples[i].Line, got[samples[i].Where()], want)
		}
	}
}
