package llama

// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
)

// ErrNotANumber is returned when the logits to sample from hold a NaN.
var ErrNotANumber = errors.New("logits are not numbers")

// SamplerOptions shape the choice of the next token. The zero value is greedy.
type SamplerOptions struct {
	Seed          uint32
	Temp          float32 // 0: always the most likely token, and nothing below but RepeatPenalty counts
	TopK          int     // keep the k most likely; 0: all
	TopP          float32 // keep the most likely up to this probability; 0 or 1: all
	MinP          float32 // keep those at least this likely relative to the first; 0: all
	RepeatPenalty float32 // divides the logits of the last RepeatLast tokens; 0 or 1: none
	RepeatLast    int     // [64]

	// Frequency and Presence are taken off the logits of those last tokens: for
	// each time that a token was chosen, and once.
	Frequency, Presence float32
	Bias                []TokenBias // added to logits before anything else
	Grammar             string      // GBNF that the text must follow, from its rule root; needs Vocab
	Vocab               *Vocab      // whose tokens Bias and Grammar speak of
}

// TokenBias moves the logit of one token.
type TokenBias struct {
	Token int32
	Bias  float32
}

func (o SamplerOptions) check() error {
	switch {
	case o.Temp < 0:
		return fmt.Errorf("temperature %g is negative", o.Temp)
	case o.TopK < 0:
		return fmt.Errorf("top-k %d is negative", o.TopK)
	case o.TopP < 0 || o.TopP > 1:
		return fmt.Errorf("top-p %g is not between 0 and 1", o.TopP)
	case o.MinP < 0 || o.MinP > 1:
		return fmt.Errorf("min-p %g is not between 0 and 1", o.MinP)
	case o.RepeatPenalty < 0:
		return fmt.Errorf("repeat penalty %g is negative", o.RepeatPenalty)
	}
	return nil
}

// Sampler is a chain of samplers with its random state.
type Sampler struct {
	chain *C.struct_llama_sampler
}

// NewSampler makes a sampler: biases, grammar, penalties, top-k, top-p, min-p, temperature,
// then a draw.
func NewSampler(o SamplerOptions) (*Sampler, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("sampler: %w", err)
	}
	params := C.llama_sampler_chain_default_params()
	params.no_perf = true
	s := &Sampler{chain: C.llama_sampler_chain_init(params)}
	if err := s.addConstraints(o); err != nil {
		return nil, errors.Join(fmt.Errorf("sampler: %w", err), s.Close())
	}
	s.addPenalties(o)
	s.addChoice(o)
	return s, nil
}

func (s *Sampler) addPenalties(o SamplerOptions) {
	repeat := o.RepeatPenalty
	if repeat == 0 {
		repeat = 1
	}
	if repeat == 1 && o.Frequency == 0 && o.Presence == 0 {
		return
	}
	last := o.RepeatLast
	if last <= 0 {
		last = 64
	}
	s.add(C.llama_sampler_init_penalties(C.int32_t(last), C.float(repeat), C.float(o.Frequency), C.float(o.Presence)))
}

func (s *Sampler) addChoice(o SamplerOptions) {
	if o.Temp == 0 {
		s.add(C.llama_sampler_init_greedy())
		return
	}
	if o.TopK > 0 {
		s.add(C.llama_sampler_init_top_k(C.int32_t(o.TopK)))
	}
	if o.TopP > 0 && o.TopP < 1 {
		s.add(C.llama_sampler_init_top_p(C.float(o.TopP), 1))
	}
	if o.MinP > 0 {
		s.add(C.llama_sampler_init_min_p(C.float(o.MinP), 1))
	}
	s.add(C.llama_sampler_init_temp(C.float(o.Temp)))
	s.add(C.llama_sampler_init_dist(C.uint32_t(o.Seed)))
}

// add hands link to the chain, which frees it.
func (s *Sampler) add(link *C.struct_llama_sampler) { C.llama_sampler_chain_add(s.chain, link) }

// Sample chooses a token from the logits after token i of c's last Decode and
// remembers it for the penalties.
func (s *Sampler) Sample(c *Context, i int) (int32, error) {
	if s.chain == nil {
		return 0, fmt.Errorf("sample: sampler: %w", ErrClosed)
	}
	if c.handle == nil || i < 0 || i >= len(c.outputs) || !c.outputs[i] {
		return 0, fmt.Errorf("sample: token %d of the batch has no logits", i)
	}
	switch t := C.ql_sample(s.chain, c.handle, C.int32_t(i), C.int32_t(c.model.vocab.size)); {
	case t == -1:
		return 0, fmt.Errorf("sample: %w", ErrNotANumber)
	case t < 0:
		return 0, errors.New("sample: libllama failed")
	default:
		return int32(t), nil
	}
}

// Reset forgets the tokens seen and restarts the random stream.
func (s *Sampler) Reset() {
	if s.chain != nil {
		C.llama_sampler_reset(s.chain)
	}
}

// Close frees the sampler; closing twice does nothing.
func (s *Sampler) Close() error {
	if s.chain != nil {
		C.llama_sampler_free(s.chain)
		s.chain = nil
	}
	return nil
}
