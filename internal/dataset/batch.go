package dataset

// Batch is one micro-batch: Rows rows of Length tokens laid end to end,
// N = Rows*Length.
//
// Attention is block-diagonal: position i attends to Segments[i]..i and to
// nothing else. Padding is token 0 without a target, each padding position a
// segment of its own, so that it neither sees nor feeds a real token.
type Batch struct {
	Rows, Length int
	Tokens       []int32 // [N]
	Targets      []int32 // [N] token that position i must predict; -1 = no loss
	Positions    []int32 // [N] RoPE position; restarts at 0 with each sample
	Segments     []int32 // [N] flat index of the first token of the sample that position i belongs to
	Trained      int     // number of Targets >= 0
}

// newBatch is a batch of padding alone.
func newBatch(rows, length int) *Batch {
	n := rows * length
	b := &Batch{Rows: rows, Length: length,
		Tokens: make([]int32, n), Targets: make([]int32, n),
		Positions: make([]int32, n), Segments: make([]int32, n)}
	for i := range n {
		b.Targets[i] = -1
		b.Segments[i] = int32(i)
	}
	return b
}

// place writes s at flat index at. Position i predicts the sample's token i+1
// when that one is trained; the last position predicts nothing, since what
// follows it is another sample.
func (b *Batch) place(at int, s *Sample) {
	last := len(s.Tokens) - 1
	for i, token := range s.Tokens {
		b.Tokens[at+i] = token
		b.Positions[at+i] = int32(i)
		b.Segments[at+i] = int32(at)
		if i < last && s.Train[i+1] {
			b.Targets[at+i] = s.Tokens[i+1]
			b.Trained++
		}
	}
}
