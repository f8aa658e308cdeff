package dataset

// Prompt lays out the tokens around a hole, ready for the model to write what
// is in it: Prefix p Suffix s Middle, after BOS where the model wants it.
func (f FIMTokens) Prompt(t Tokenizer, prefix, suffix []int32) []int32 {
	tokens := make([]int32, 0, len(prefix)+len(suffix)+4)
	if t.AddBOS() && t.BOS() >= 0 {
		tokens = append(tokens, t.BOS())
	}
	tokens = append(append(tokens, f.Prefix), prefix...)
	tokens = append(append(tokens, f.Suffix), suffix...)
	return append(tokens, f.Middle)
}
