package comparison

// Measured is what was taken of one model, with or without an adapter. All that
// are compared hold the same samples, gaps, prompts and passages in the same
// order.
type Measured struct {
	Name string // as tables show it
	Path string // of the adapter or the model
	Kind Kind

	Samples  []Sample
	Gaps     []Gap
	Answers  []Answer
	Passages []Passage
}

// Kind is what a measured variant is.
type Kind string

// The kinds.
const (
	Base    Kind = "base"
	Adapter Kind = "adapter"
	Model   Kind = "model"
)

// Sample is the loss of one sample of the data.
type Sample struct {
	Where  string // file:line
	Tokens int    // trained ones
	Bytes  int64  // of their text
	Nats   float64
}

// Gap is one gap that was filled.
type Gap struct {
	Where      string
	Language   string
	Exact      bool    // white space at both ends aside
	Similarity float64 // edit similarity, 0 to 1
}

// Answer is what was written after a prompt of the data.
type Answer struct {
	Where, Prompt, Reference, Text string
	Similarity                     float64 // edit similarity to Reference, 0 to 1
}

// Passage is a piece of general text, which nothing was trained on.
type Passage struct {
	Tokens int     // predicted ones
	Nats   float64 // sum of -log p
	KL     float64 // sum over tokens of KL(base || this), nats; 0 for the base
	Same   int     // tokens at which the likeliest next token is the base's
}
