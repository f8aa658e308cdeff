package evaluate

import (
	"context"
	_ "embed" // the general text
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"

	"github.com/qlora/qlora/internal/llama"
)

// GeneralText is English prose, talk, instructions and code, written for this
// repository, in passages between blank lines. It is held out: nothing here
// trains on it. How far an adapter moves a model on it tells of forgetting.
//
//go:embed general.txt
var GeneralText string

// Passages cuts a text at blank lines and encodes the pieces, each for itself
// and begun as the model expects a text to begin. Of a longer one the first
// limit tokens are kept; cut counts those.
func Passages(v *llama.Vocab, text string, limit int) (passages [][]int32, cut int, err error) {
	for part := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		tokens, err := v.Encode(strings.Trim(part, "\n"), false)
		if err != nil {
			return nil, 0, fmt.Errorf("tokenise general text: %w", err)
		}
		if v.AddBOS() && v.BOS() >= 0 {
			tokens = append([]int32{v.BOS()}, tokens...)
		}
		if len(tokens) > limit {
			tokens, cut = tokens[:limit], cut+1
		}
		if len(tokens) > 1 {
			passages = append(passages, tokens)
		}
	}
	return passages, cut, nil
}

// Drift is how a model predicts a passage, and how far it is from another.
type Drift struct {
	Tokens int     // predicted ones: all but the first
	Nats   float64 // sum of -log p
	KL     float64 // sum of KL(other || model) over the whole vocabulary, nats
	Same   int     // tokens for which the likeliest is the same
}

// MeasureDrift compares the next-token distributions of c with those of base,
// which may be c itself for the model's own figures. Both decode the same
// tokens in batches of the same size. Vocabularies must be of one size.
func MeasureDrift(ctx context.Context, base, c *llama.Context, passages [][]int32, progress func(int)) ([]Drift, error) {
	if a, b := base.Model().Vocab().Size(), c.Model().Vocab().Size(); a != b {
		return nil, fmt.Errorf("compare on general text: vocabularies of %d and %d tokens", a, b)
	}
	chunk := max(1, min(groupTokens, logitBytes/(4*c.Model().Vocab().Size()), base.Options().Batch, c.Options().Batch))
	drifts := make([]Drift, len(passages))
	for i, tokens := range passages {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for at := 0; at < len(tokens)-1; at += chunk {
			end := min(at+chunk, len(tokens)-1)
			if err := drifts[i].decode(base, c, tokens, at, end); err != nil {
				return nil, fmt.Errorf("general text, passage %d: %w", i+1, err)
			}
		}
		if progress != nil {
			progress(i + 1)
		}
	}
	base.ClearMemory()
	c.ClearMemory()
	return drifts, nil
}

// decode runs tokens at to end through both and adds up their rows, in order.
func (d *Drift) decode(base, c *llama.Context, tokens []int32, at, end int) error {
	contexts := []*llama.Context{base}
	if c != base {
		contexts = append(contexts, c)
	}
	for _, each := range contexts {
		if at == 0 {
			each.ClearMemory()
		}
		var b llama.Batch
		for i := at; i < end; i++ {
			b.Add(tokens[i], int32(i), 0, true)
		}
		if err := each.Decode(b); err != nil {
			return err
		}
	}
	rows := make([]Drift, end-at)
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(rows); i += workers {
				rows[i] = driftOf(base.Logits(i), c.Logits(i), tokens[at+i+1])
			}
		})
	}
	wg.Wait()
	for _, row := range rows {
		d.Tokens, d.Nats, d.KL, d.Same = d.Tokens+1, d.Nats+row.Nats, d.KL+row.KL, d.Same+row.Same
	}
	return nil
}

// driftOf compares two rows of logits before token.
func driftOf(base, own []float32, token int32) Drift {
	d := Drift{Tokens: 1, Nats: negativeLogLikelihood(own, token)}
	topBase, normBase := normaliser(base)
	topOwn, normOwn := normaliser(own)
	for i, l := range base {
		p := float64(l) - normBase
		if share := math.Exp(p); share > 0 { // 0 log 0 is 0, also where a logit is -Inf
			d.KL += share * (p - (float64(own[i]) - normOwn))
		}
	}
	d.KL = max(0, d.KL) // rounding can leave it just below
	if topBase == topOwn {
		d.Same = 1
	}
	return d
}

// normaliser returns the place of the largest logit and log sum exp.
func normaliser(logits []float32) (top int, norm float64) {
	for i, l := range logits {
		if l > logits[top] {
			top = i
		}
	}
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l - logits[top]))
	}
	return top, math.Log(sum) + float64(logits[top])
}
