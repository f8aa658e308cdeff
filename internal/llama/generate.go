package llama

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// StopReason says why a generation ended.
type StopReason string

// The reasons.
const (
	StopEnd     StopReason = "stop"    // the model ended its answer
	StopLength  StopReason = "length"  // MaxTokens were generated
	StopContext StopReason = "context" // the context is full
)

// Generation is the result of Generate.
type Generation struct {
	Tokens       []int32 // without the token that ended the answer
	Reason       StopReason
	PromptTokens int
	PromptTime   time.Duration // to compute the prompt
	Time         time.Duration // to generate Tokens
}

// Generate empties the cache, runs prompt and extends it with tokens that s
// chooses until the model ends its answer, limit tokens are there (0: no
// limit), or the context is full. emit, which may be nil, sees each token as it
// comes; its error ends the generation. When ctx ends, so does the generation,
// with what it has so far and the error of ctx.
func (c *Context) Generate(ctx context.Context, prompt []int32, s *Sampler, limit int, emit func(int32) error) (Generation, error) {
	g := Generation{PromptTokens: len(prompt)}
	if len(prompt) == 0 {
		return g, errors.New("generate: the prompt is empty")
	}
	if len(prompt) >= c.options.Ctx {
		return g, fmt.Errorf("generate: the prompt has %d tokens, the context %d: %w", len(prompt), c.options.Ctx, ErrContextFull)
	}
	start := time.Now()
	last, err := c.Prefill(ctx, prompt)
	g.PromptTime = time.Since(start)
	if err != nil {
		return g, err
	}
	start = time.Now()
	err = c.extend(ctx, &g, s, last, limit, emit)
	g.Time = time.Since(start)
	return g, err
}

// Prefill empties the cache, runs prompt as sequence 0 in batches, and returns
// the index whose Logits follow the prompt.
func (c *Context) Prefill(ctx context.Context, prompt []int32) (int, error) {
	c.ClearMemory()
	var b Batch
	for at := 0; at < len(prompt); at += c.options.Batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		chunk := prompt[at:min(at+c.options.Batch, len(prompt))]
		b.Reset()
		b.AddPrompt(chunk, int32(at), 0)
		if err := c.Decode(b); err != nil {
			return 0, fmt.Errorf("run the prompt: %w", err)
		}
	}
	return b.Len() - 1, nil
}

func (c *Context) extend(ctx context.Context, g *Generation, s *Sampler, last, limit int, emit func(int32) error) error {
	var b Batch
	for {
		token, err := s.Sample(c, last)
		if err != nil {
			return fmt.Errorf("generate token %d: %w", len(g.Tokens)+1, err)
		}
		if c.model.vocab.EndsGeneration(token) {
			g.Reason = StopEnd
			return nil
		}
		g.Tokens = append(g.Tokens, token)
		if emit != nil {
			if err := emit(token); err != nil {
				return err
			}
		}
		if done := g.finished(limit, c.options.Ctx); done || ctx.Err() != nil {
			return ctx.Err()
		}
		b.Reset()
		b.Add(token, int32(g.PromptTokens+len(g.Tokens)-1), 0, true)
		if err := c.Decode(b); err != nil {
			return fmt.Errorf("generate token %d: %w", len(g.Tokens)+1, err)
		}
		last = 0
	}
}

// finished sets the reason when a limit is reached.
func (g *Generation) finished(limit, ctx int) bool {
	switch {
	case limit > 0 && len(g.Tokens) >= limit:
		g.Reason = StopLength
	case g.PromptTokens+len(g.Tokens) >= ctx:
		g.Reason = StopContext
	default:
		return false
	}
	return true
}
