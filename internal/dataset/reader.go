package dataset

// Reader makes the token sequence of one record at a time, as Load does but
// whatever its length. It is safe for concurrent use.
type Reader struct{ b *builder }

// NewReader takes the template and the loss of o; sources and limits of it
// play no part.
func NewReader(o LoadOptions, t Tokenizer) (*Reader, error) {
	var err error
	if o.Loss, err = ParseLoss(string(o.Loss)); err != nil {
		return nil, err
	}
	return &Reader{b: newBuilder(o, t)}, nil
}

// Sequence is a record as training would see it.
type Sequence struct {
	Tokens []int32
	Train  []bool // as in Sample
	// Turns are the indices of the messages of a chat that carry loss.
	Turns []int
	// OpenTurns and LostCalls are counted as in Report.
	OpenTurns, LostCalls int
}

// Trained is the number of tokens that carry loss.
func (s *Sequence) Trained() int { return (&Sample{Train: s.Train}).Trained() }

// Encode renders and tokenises a record. It fails where training would refuse
// the record: no template, no fill-in-the-middle tokens, an unstable rendering.
func (r *Reader) Encode(rec *Record) (*Sequence, error) {
	s, counts, err := r.b.encode(rec.r)
	if err != nil {
		return nil, err
	}
	if len(s.train) > 0 {
		s.train[0] = false // nothing stands before it to predict it from
	}
	out := &Sequence{Tokens: s.tokens, Train: s.train, OpenTurns: counts.open, LostCalls: counts.lostCalls}
	if c := rec.r.chat; c != nil {
		out.Turns = r.b.lossTurns(c)
		if r.b.o.Loss != LossAll {
			out.Turns, _ = r.b.callTurns(c, out.Turns)
		}
	}
	return out, nil
}

// lossTurns are the messages that carry loss: all of them under LossAll.
func (b *builder) lossTurns(c *chat) []int {
	if b.o.Loss != LossAll {
		return b.trainedTurns(c)
	}
	all := make([]int, len(c.messages))
	for i := range all {
		all[i] = i
	}
	return all
}
