package evaluate

import "github.com/qlora/qlora/internal/dataset"

// completion is a sample cut where the model is to take over.
type completion struct {
	sample    *dataset.Sample
	prompt    []int32
	reference []int32 // what the sample goes on with
}

// mostPrompt bounds the prompt taken from a sample that is trained from its
// start, such as plain text.
const mostPrompt = 64

// split cuts a sample before its last trained stretch: the last answer of a
// chat, the completion of a prompt. Plain text is cut in its first half.
func split(s *dataset.Sample) (completion, bool) {
	end := len(s.Tokens)
	for end > 0 && !s.Train[end-1] {
		end--
	}
	start := end
	for start > 0 && s.Train[start-1] {
		start--
	}
	if start <= 1 {
		start = min(end/2, mostPrompt)
	}
	if start < 1 || start >= end {
		return completion{}, false
	}
	return completion{sample: s, prompt: s.Tokens[:start], reference: s.Tokens[start:end]}, true
}

// splitFIM cuts a fill-in-the-middle sample after its middle token. ok is
// false for samples of other kinds.
func splitFIM(s *dataset.Sample, f dataset.FIMTokens) (c completion, ok bool) {
	for i, token := range s.Tokens {
		if token != f.Middle {
			continue
		}
		c = completion{sample: s, prompt: s.Tokens[:i+1], reference: s.Tokens[i+1:]}
		if n := len(c.reference); n > 0 && c.reference[n-1] == f.End {
			c.reference = c.reference[:n-1]
		}
		return c, len(c.reference) > 0 && s.Train[i+1]
	}
	return completion{}, false
}

// spread picks at most n of items, evenly, so that a large file is sampled all
// along and the same file always gives the same items.
func spread[T any](items []T, n int) []T {
	if n >= len(items) {
		return items
	}
	picked := make([]T, 0, max(n, 0))
	for i := range n {
		picked = append(picked, items[i*len(items)/n])
	}
	return picked
}
