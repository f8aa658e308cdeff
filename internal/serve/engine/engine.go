// Package engine is what the HTTP side of the server and the side that computes
// agree on: requests, events, and how they find each other. It holds no C, so
// that the HTTP side is tested without a model.
package engine

import "context"

// Engine answers requests. It is safe for concurrent use.
type Engine interface {
	// Info describes the model; it is the zero Info while none is loaded.
	Info() Info
	// Generate starts an answer. The stream ends when ctx does. The error is an
	// *Error.
	Generate(ctx context.Context, r Request) (*Stream, error)
}

// Info describes a loaded model.
type Info struct {
	Model     string // the name of the base
	Adapters  []string
	Path      string
	Describe  string // libllama's one line: architecture, size, type
	Ctx       int    // tokens of one sequence, prompt and answer
	Slots     int    // sequences computed at the same time
	Template  string // Jinja chat template, "" when the file has none
	BOS, EOS  string // spelling of the tokens, "" for none
	CanFill   bool   // has fill-in-the-middle tokens
	VocabSize int
}

// Request asks for one answer.
type Request struct {
	Adapter  string // "" for the base alone
	Prompt   Prompt
	Sampling Sampling
	Limit    int // most tokens of the answer; 0: until the context is full
	Stop     []string
	Logprobs int  // alternatives to tell for each token; -1: no probabilities at all
	Control  bool // keep the spelling of control tokens in the text
	EndLess  bool // go on when the model ends its answer (ignore_eos)
}

// Prompt is one of its fields.
type Prompt struct {
	Text   string  // special tokens in it are parsed
	Tokens []int32 // as they are
	Fill   *Fill
}

// Fill asks for the text between two others.
type Fill struct{ Prefix, Suffix string }

// Sampling shapes the choice of tokens, as llama.SamplerOptions do.
type Sampling struct {
	Seed                uint32
	Temp                float32
	TopK                int
	TopP, MinP          float32
	Repeat              float32 // 1 for none
	Frequency, Presence float32
	Bias                map[int32]float32
	Grammar             string // GBNF; "" for none
}

// Event is a piece of an answer.
type Event struct {
	Text     string
	Logprobs []Logprob // of the tokens that make Text, where asked for
	Finish   *Finish   // on the last event of an answer that went well
	Err      *Error    // on the last event of one that did not
}

// Last tells whether the answer ends with e.
func (e Event) Last() bool { return e.Finish != nil || e.Err != nil }

// Finish ends an answer.
type Finish struct {
	Reason    string // ReasonStop or ReasonLength
	Prompt    int    // tokens
	Cached    int    // of these, found in the cache
	Generated int
}

// The reasons.
const (
	ReasonStop   = "stop"
	ReasonLength = "length"
)

// Logprob is the probability of a token under the model, before sampling
// parameters.
type Logprob struct {
	Token   string
	Logprob float64
	Top     []Alternative // the most likely tokens, most likely first
}

// Alternative is a token that could have been chosen.
type Alternative struct {
	Token   string
	Logprob float64
}
