package evaluate

import (
	"context"
	"fmt"
	"strings"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/llama"
)

// FIM is how well a model fills gaps, writing greedily.
type FIM struct {
	Samples    int     // gaps tried
	Exact      int     // filled exactly, white space at both ends aside
	Similarity float64 // mean edit similarity, 0 to 1
}

// ExactMatch is the share of gaps filled exactly.
func (f FIM) ExactMatch() float64 { return float64(f.Exact) / float64(f.Samples) }

// HasFIM tells how many of samples are of the fill-in-the-middle kind; 0 when
// the vocabulary has no such tokens.
func HasFIM(v *llama.Vocab, samples []dataset.Sample) int { return len(gaps(v, samples)) }

func gaps(v *llama.Vocab, samples []dataset.Sample) []completion {
	tokens, err := dataset.FindFIM(v)
	if err != nil {
		return nil // without the tokens no sample can be of that kind
	}
	var found []completion
	for i := range samples {
		if c, ok := splitFIM(&samples[i], tokens); ok {
			found = append(found, c)
		}
	}
	return found
}

// slack is how many tokens more than the reference a model may write before
// it is stopped.
const slack = 16

// MeasureFIM fills the gaps of at most limit fill-in-the-middle samples, which
// are spread over samples. progress, which may be nil, is told how many are
// done.
func MeasureFIM(ctx context.Context, c *llama.Context, samples []dataset.Sample, limit int, progress func(int)) (FIM, error) {
	var result FIM
	v := c.Model().Vocab()
	greedy, err := llama.NewSampler(llama.SamplerOptions{})
	if err != nil {
		return result, err
	}
	defer greedy.Close()
	var similarity float64
	for _, gap := range spread(gaps(v, samples), limit) {
		g, err := c.Generate(ctx, gap.prompt, greedy, len(gap.reference)+slack, nil)
		if err != nil {
			return result, fmt.Errorf("fill the gap of %s: %w", gap.sample.Where(), err)
		}
		want, got := strings.TrimSpace(v.Text(gap.reference)), strings.TrimSpace(v.Text(g.Tokens))
		result.Samples++
		if got == want {
			result.Exact++
		}
		similarity += EditSimilarity(got, want)
		if progress != nil {
			progress(result.Samples)
		}
	}
	if result.Samples > 0 {
		result.Similarity = similarity / float64(result.Samples)
	}
	return result, nil
}
