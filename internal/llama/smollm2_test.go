package llama_test

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/qlora/qlora/internal/llama"
)

// smollm2 loads the real model that 'make smollm2' fetches.
func smollm2(t *testing.T) *llama.Model {
	t.Helper()
	const path = "../../data/models/SmolLM2-135M-Instruct.Q4_1.gguf"
	if _, err := os.Stat(path); err != nil {
		t.Skip("run 'make smollm2' for this test: ", err)
	}
	return load(t, path)
}

// question is a chat as the model's own template renders it, and the ids that
// the tokenizer of transformers 4.51.3 gives for it.
const question = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n" +
	"<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"

var questionIDs = []int32{1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407,
	19712, 8182, 2, 198, 1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198}

// systemTokens is the length of the system turn in questionIDs.
const systemTokens = 21

func TestSmolLM2(t *testing.T) {
	m := smollm2(t)
	v := m.Vocab()
	tokens := encode(t, m, question)
	if !slices.Equal(tokens, questionIDs) {
		t.Errorf("tokens %v, want %v", tokens, questionIDs)
	}
	if v.Decode(tokens) != question {
		t.Errorf("decoded %q", v.Decode(tokens))
	}
	if v.EOT() != 2 || v.EOS() != 2 || v.BOS() != 1 || v.FIMPrefix() != -1 {
		t.Errorf("end of turn %d, end of text %d, beginning %d, gap %d", v.EOT(), v.EOS(), v.BOS(), v.FIMPrefix())
	}
	c := newContext(t, m, llama.ContextOptions{Threads: 1, Ctx: 128})
	// Without the system prompt the answer is clear; with it two first words
	// are so close that the rounding of activations, which differs between
	// processors, decides.
	g, err := c.Generate(context.Background(), tokens[systemTokens:], sampler(t, llama.SamplerOptions{}), 16, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := v.Text(g.Tokens); text != "The capital of France is Paris." || g.Reason != llama.StopEnd {
		t.Errorf("answer %q, stopped by %s", text, g.Reason)
	}
}
