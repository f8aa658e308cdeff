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

// Gap is one gap that a model filled.
type Gap struct {
	Where      string  // file:line of the sample
	Exact      bool    // white space at both ends aside
	Similarity float64 // edit similarity, 0 to 1
}

// MeasureFIM fills the gaps of at most limit fill-in-the-middle samples, which
// are spread over samples. progress, which may be nil, is told how many are
// done.
func MeasureFIM(ctx context.Context, c *llama.Context, samples []dataset.Sample, limit int, progress func(int)) (FIM, error) {
	var result FIM
	filled, err := FillGaps(ctx, c, samples, limit, progress)
	for _, g := range filled {
		result.Samples++
		if g.Exact {
			result.Exact++
		}
		result.Similarity += g.Similarity
	}
	if result.Samples > 0 {
		result.Similarity /= float64(result.Samples)
	}
	return result, err
}

// FillGaps is MeasureFIM gap by gap.
func FillGaps(ctx context.Context, c *llama.Context, samples []dataset.Sample, limit int, progress func(int)) ([]Gap, error) {
	var filled []Gap
	v := c.Model().Vocab()
	greedy, err := llama.NewSampler(llama.SamplerOptions{})
	if err != nil {
		return nil, err
	}
	defer greedy.Close()
	for _, gap := range spread(gaps(v, samples), limit) {
		g, err := c.Generate(ctx, gap.prompt, greedy, len(gap.reference)+slack, nil)
		if err != nil {
			return filled, fmt.Errorf("fill the gap of %s: %w", gap.sample.Where(), err)
		}
		want, got := strings.TrimSpace(v.Text(gap.reference)), strings.TrimSpace(v.Text(g.Tokens))
		filled = append(filled, Gap{Where: gap.sample.Where(), Exact: got == want, Similarity: EditSimilarity(got, want)})
		if progress != nil {
			progress(len(filled))
		}
	}
	return filled, nil
}

// WithoutFIM leaves out samples of the fill-in-the-middle kind.
func WithoutFIM(v *llama.Vocab, samples []dataset.Sample) []dataset.Sample {
	tokens, err := dataset.FindFIM(v)
	if err != nil {
		return samples
	}
	var others []dataset.Sample
	for i := range samples {
		if _, ok := splitFIM(&samples[i], tokens); !ok {
			others = append(others, samples[i])
		}
	}
	return others
}
