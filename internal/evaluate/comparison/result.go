package comparison

// result sets a variant beside the base.
func result(base, v Measured, o Options) Result {
	r := Result{Figures: figures(v)}
	var loss ratioOfSums
	for i, s := range v.Samples {
		d := s.Nats - base.Samples[i].Nats
		loss = loss.add(d, float64(s.Tokens))
		r.sampleDifferences = append(r.sampleDifferences, d/float64(s.Tokens))
		if d < 0 {
			r.Better++
		}
	}
	r.LossDifference = loss.difference(o)
	r.compareGaps(base, v, o)
	r.compareGeneral(base, v, o)
	for i, a := range v.Answers {
		switch Winner(base.Answers[i], a) {
		case Nearer:
			r.Wins++
		case Farther:
			r.Losses++
		default:
			r.Ties++
		}
	}
	r.judge()
	return r
}

func (r *Result) compareGaps(base, v Measured, o Options) {
	if len(v.Gaps) == 0 {
		return
	}
	var exact, similarity ratioOfSums
	for i, g := range v.Gaps {
		d := 0.0
		if g.Exact {
			d++
		}
		if base.Gaps[i].Exact {
			d--
		}
		exact = exact.add(d, 1)
		similarity = similarity.add(g.Similarity-base.Gaps[i].Similarity, 1)
	}
	e, s := exact.difference(o), similarity.difference(o)
	r.FIMExact, r.FIMSimilarity = &e, &s
}

func (r *Result) compareGeneral(base, v Measured, o Options) {
	if len(v.Passages) == 0 {
		return
	}
	var loss, kl ratioOfSums
	same, tokens := 0, 0
	for i, p := range v.Passages {
		loss = loss.add(p.Nats-base.Passages[i].Nats, float64(p.Tokens))
		kl = kl.add(p.KL, float64(p.Tokens))
		same, tokens = same+p.Same, tokens+p.Tokens
	}
	l, k := loss.difference(o), kl.difference(o)
	share := float64(same) / float64(tokens)
	r.GeneralLoss, r.KL, r.SameTop = &l, &k, &share
}

// Nearness says which of two answers is nearer to the data's.
type Nearness string

// The outcomes, for the variant.
const (
	Nearer  Nearness = "win"
	Alike   Nearness = "tie"
	Farther Nearness = "loss"
)

// Verb says the outcome beside the variant's name.
func (n Nearness) Verb() string {
	return map[Nearness]string{Nearer: "wins", Alike: "ties", Farther: "loses"}[n]
}

// tie is how far apart two edit similarities may be and still count as alike.
const tie = 0.02

// Winner compares an answer of a variant with the base's to the same prompt.
// Nearness to the data's answer is not quality: it tells whether the variant
// writes as the data does.
func Winner(base, variant Answer) Nearness {
	switch d := variant.Similarity - base.Similarity; {
	case d > tie:
		return Nearer
	case d < -tie:
		return Farther
	}
	return Alike
}

// Prompt is a prompt of the data with all answers to it.
type Prompt struct {
	Where     string  `json:"where"`
	Prompt    string  `json:"prompt"`
	Reference string  `json:"reference"`
	Answers   []Reply `json:"answers"` // the base's first
}

// Reply is one of the answers to a prompt.
type Reply struct {
	Name       string   `json:"name"`
	Text       string   `json:"text"`
	Similarity float64  `json:"edit_similarity"`
	Against    Nearness `json:"against_base,omitempty"`
}

func prompts(base Measured, variants []Measured) []Prompt {
	var out []Prompt
	for i, a := range base.Answers {
		p := Prompt{Where: a.Where, Prompt: a.Prompt, Reference: a.Reference,
			Answers: []Reply{{Name: base.Name, Text: a.Text, Similarity: a.Similarity}}}
		for _, v := range variants {
			b := v.Answers[i]
			p.Answers = append(p.Answers, Reply{Name: v.Name, Text: b.Text, Similarity: b.Similarity, Against: Winner(a, b)})
		}
		out = append(out, p)
	}
	return out
}
