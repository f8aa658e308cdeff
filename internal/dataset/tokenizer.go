package dataset

// Tokenizer is the vocabulary of the model being trained. Implementations are
// safe for concurrent use: Load encodes on all cores.
type Tokenizer interface {
	// Encode tokenises text and never adds BOS or EOS. With parseSpecial the
	// literal spelling of a special token becomes that token; without it the
	// spelling is ordinary text.
	Encode(text string, parseSpecial bool) ([]int32, error)
	// Decode is the text of tokens, special tokens rendered as their spelling.
	Decode(tokens []int32) string
	// Size is the number of entries of the vocabulary.
	Size() int
	// BOS, EOS and EOT are -1 when the model has none.
	BOS() int32
	EOS() int32
	EOT() int32
	// AddBOS reports whether the model expects BOS before every sequence.
	AddBOS() bool
	// The fill-in-the-middle tokens named by the GGUF file, -1 when it names none.
	FIMPrefix() int32
	FIMSuffix() int32
	FIMMiddle() int32
	FIMRepo() int32
	FIMSep() int32
	FIMPad() int32
	// Lookup finds the entry spelled exactly piece.
	Lookup(piece string) (int32, bool)
}
