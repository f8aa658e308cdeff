package batch

import (
	"fmt"

	"github.com/qlora/qlora/internal/llama"
	"github.com/qlora/qlora/internal/serve/engine"
)

// sequence is a request on its way. What ready fills in is read after prepared
// is set, under the scheduler's lock.
type sequence struct {
	id       uint64
	request  engine.Request
	prepared bool
	failed   error // of ready

	adapter int
	prompt  []int32
	sampler *llama.Sampler
	text    *llama.TextStream
	stops   stopper

	slot      int // -1: none yet
	ended     bool
	cached    int   // tokens of the prompt that were in the cache
	done      int   // tokens of the prompt that are in the cache
	last      int32 // chosen, not yet decoded
	out       int   // index in the batch of the logits to choose from, -1 for none
	generated int
	logprobs  []engine.Logprob // of tokens whose text is held back
	chosen    choice
}

// choice is what sampling one token gave.
type choice struct {
	token   int32
	logprob *engine.Logprob
	err     error
}

// prefilling tells whether part of the prompt is still to be computed.
func (q *sequence) prefilling() bool { return q.done < len(q.prompt) }

func (q *sequence) close() {
	if q.sampler != nil {
		_ = q.sampler.Close() // never fails
		q.sampler = nil
	}
}

// ready turns the request into tokens and makes its sampler.
func (s *Scheduler) ready(q *sequence) error {
	var err error
	if q.adapter, err = s.adapterIndex(q.request.Adapter); err != nil {
		return err
	}
	if q.prompt, err = s.tokens(q.request.Prompt); err != nil {
		return err
	}
	switch n := len(q.prompt); {
	case n == 0:
		return engine.Errorf(engine.Invalid, "the prompt is empty")
	case n >= s.options.Ctx:
		return engine.Errorf(engine.ContextFull,
			"this server's context is %d tokens, and the prompt has %d; shorten it, or start the server with a larger -c", s.options.Ctx, n)
	}
	v := s.ctx.Model().Vocab()
	q.text, q.stops = llama.NewTextStream(v), stopper{stops: q.request.Stop}
	if q.sampler, err = newSampler(q.request.Sampling, v, s.options.Ctx); err != nil {
		return engine.Errorf(engine.Invalid, "%v", err)
	}
	return nil
}

func newSampler(p engine.Sampling, v *llama.Vocab, window int) (*llama.Sampler, error) {
	o := llama.SamplerOptions{
		Seed: p.Seed, Temp: p.Temp, TopK: p.TopK, TopP: p.TopP, MinP: p.MinP,
		RepeatPenalty: p.Repeat, RepeatLast: window, Frequency: p.Frequency, Presence: p.Presence,
		Grammar: p.Grammar, Vocab: v,
	}
	for token, bias := range p.Bias {
		o.Bias = append(o.Bias, llama.TokenBias{Token: token, Bias: bias})
	}
	return llama.NewSampler(o)
}

// tokens encodes a prompt.
func (s *Scheduler) tokens(p engine.Prompt) ([]int32, error) {
	v := s.ctx.Model().Vocab()
	switch {
	case p.Fill != nil:
		return s.fill(*p.Fill)
	case p.Tokens != nil:
		for _, t := range p.Tokens {
			if t < 0 || int(t) >= v.Size() {
				return nil, engine.Errorf(engine.Invalid, "token %d of the prompt is outside the vocabulary of %d", t, v.Size())
			}
		}
		return p.Tokens, nil
	}
	tokens, err := v.EncodePrompt(p.Text)
	if err != nil {
		return nil, fmt.Errorf("encode the prompt: %w", err)
	}
	return tokens, nil
}

// fill lays out a prompt for the text between two others, as in training.
func (s *Scheduler) fill(f engine.Fill) ([]int32, error) {
	if !s.canFill {
		return nil, engine.Errorf(engine.Invalid, "the model has no fill-in-the-middle tokens, which a suffix needs")
	}
	v := s.ctx.Model().Vocab()
	prefix, err := v.Encode(f.Prefix, false)
	if err != nil {
		return nil, fmt.Errorf("encode the prompt: %w", err)
	}
	suffix, err := v.Encode(f.Suffix, false)
	if err != nil {
		return nil, fmt.Errorf("encode the suffix: %w", err)
	}
	return s.fim.Prompt(v, prefix, suffix), nil
}
