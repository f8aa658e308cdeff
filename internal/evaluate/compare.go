package evaluate

import (
	"context"
	"fmt"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/llama"
)

// Answer is one prompt of the data with what the data and a model go on with.
type Answer struct {
	Where     string `json:"where"` // file:line of the sample
	Prompt    string `json:"prompt"`
	Reference string `json:"reference"`
	Text      string `json:"text"`
}

// Answers has the model continue at most n samples, spread over samples, from
// where the data answers, greedily and for at most limit tokens each.
func Answers(ctx context.Context, c *llama.Context, samples []dataset.Sample, n, limit int) ([]Answer, error) {
	greedy, err := llama.NewSampler(llama.SamplerOptions{})
	if err != nil {
		return nil, err
	}
	defer greedy.Close()
	v := c.Model().Vocab()
	var answers []Answer
	for _, cut := range spread(completions(samples), n) {
		g, err := c.Generate(ctx, cut.prompt, greedy, limit, nil)
		if err != nil {
			return answers, fmt.Errorf("continue %s: %w", cut.sample.Where(), err)
		}
		answers = append(answers, Answer{
			Where: cut.sample.Where(), Prompt: v.Decode(cut.prompt),
			Reference: v.Text(cut.reference), Text: v.Text(g.Tokens),
		})
	}
	return answers, nil
}

func completions(samples []dataset.Sample) []completion {
	var cut []completion
	for i := range samples {
		if c, ok := split(&samples[i]); ok {
			cut = append(cut, c)
		}
	}
	return cut
}
