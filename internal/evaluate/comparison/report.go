package comparison

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Report is a finished comparison.
type Report struct {
	Model     string   `json:"model"`
	Data      []string `json:"data"`
	Seed      uint64   `json:"seed"`
	Resamples int      `json:"resamples"`
	Level     float64  `json:"level"`
	Samples   int      `json:"samples"` // the same for all
	Tokens    int      `json:"tokens"`  // trained ones, the same for all
	Base      Figures  `json:"base"`
	Variants  []Result `json:"variants"`
	Prompts   []Prompt `json:"prompts,omitempty"`
	Origin    Origin   `json:"-"`
}

// Origin is how a comparison was made, for its pages.
type Origin struct {
	Version string // of qlora
	Made    time.Time
	Command string
}

// Figures are those of one model by itself.
type Figures struct {
	Name        string   `json:"name"`
	Path        string   `json:"path"`
	Kind        Kind     `json:"kind"`
	Samples     int      `json:"samples"`
	Tokens      int      `json:"tokens"`
	Loss        float64  `json:"loss"` // nats per trained token
	Perplexity  float64  `json:"perplexity"`
	BitsPerByte *float64 `json:"bits_per_byte"` // null when trained tokens have no text
	FIM         *FIM     `json:"fim,omitempty"`
	General     *General `json:"general,omitempty"`
}

// FIM is how gaps were filled.
type FIM struct {
	Gaps       int        `json:"gaps"`
	ExactMatch float64    `json:"exact_match"`
	Similarity float64    `json:"edit_similarity"`
	Languages  []Language `json:"languages"`
}

// Language is the part of FIM in one language.
type Language struct {
	Name       string  `json:"name"`
	Gaps       int     `json:"gaps"`
	ExactMatch float64 `json:"exact_match"`
	Similarity float64 `json:"edit_similarity"`
}

// General is how general text is known.
type General struct {
	Tokens     int     `json:"tokens"`
	Loss       float64 `json:"loss"`
	Perplexity float64 `json:"perplexity"`
}

// Result is a variant beside the base. Differences are the variant's figure
// less the base's, on the same samples.
type Result struct {
	Figures
	LossDifference Difference  `json:"loss_difference"`
	Better         int         `json:"samples_better"` // samples with a lower loss than the base's
	FIMExact       *Difference `json:"exact_match_difference,omitempty"`
	FIMSimilarity  *Difference `json:"edit_similarity_difference,omitempty"`
	GeneralLoss    *Difference `json:"general_loss_difference,omitempty"`
	KL             *Difference `json:"kl,omitempty"`             // from the base on general text, nats per token
	SameTop        *float64    `json:"same_top_token,omitempty"` // share of tokens of general text
	Wins           int         `json:"wins"`                     // answers nearer to the data's than the base's
	Ties           int         `json:"ties"`
	Losses         int         `json:"losses"`
	Verdict        Verdict     `json:"verdict"`
	Sentence       string      `json:"sentence"`

	sampleDifferences []float64 // nats per token, of each sample
}

// Compare sets variants beside base. It is an error when they were not
// measured on the same samples, and when a figure is no number: no mean and no
// interval could be told from it.
func Compare(base Measured, variants []Measured, o Options) (*Report, error) {
	r := &Report{Seed: o.Seed, Resamples: o.Resamples, Level: o.Level, Base: figures(base)}
	r.Samples, r.Tokens = r.Base.Samples, r.Base.Tokens
	if err := finite(base); err != nil {
		return nil, err
	}
	for _, v := range variants {
		if err := errors.Join(sameSamples(base, v), finite(v)); err != nil {
			return nil, fmt.Errorf("compare %s with %s: %w", v.Name, base.Name, err)
		}
		r.Variants = append(r.Variants, result(base, v, o))
	}
	r.Prompts = prompts(base, variants)
	return r, nil
}

func sameSamples(a, b Measured) error {
	if len(a.Samples) != len(b.Samples) || len(a.Gaps) != len(b.Gaps) || len(a.Answers) != len(b.Answers) || len(a.Passages) != len(b.Passages) {
		return fmt.Errorf("%d samples, %d gaps, %d answers and %d passages are not %d, %d, %d and %d", len(b.Samples), len(b.Gaps), len(b.Answers),
			len(b.Passages), len(a.Samples), len(a.Gaps), len(a.Answers), len(a.Passages))
	}
	for i, s := range a.Samples {
		if s.Where != b.Samples[i].Where || s.Tokens != b.Samples[i].Tokens {
			return fmt.Errorf("sample %d is %s with %d tokens and %s with %d", i+1, b.Samples[i].Where, b.Samples[i].Tokens, s.Where, s.Tokens)
		}
	}
	return nil
}

// finite refuses what a model with broken weights gives.
func finite(m Measured) error {
	bad := func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
	for _, s := range m.Samples {
		if bad(s.Nats) {
			return fmt.Errorf("the loss of %s on %s is %g", m.Name, s.Where, s.Nats)
		}
	}
	for i, p := range m.Passages {
		if bad(p.Nats) || bad(p.KL) {
			return fmt.Errorf("%s has a loss of %g and a divergence of %g on passage %d of the general text", m.Name, p.Nats, p.KL, i+1)
		}
	}
	return nil
}

func figures(m Measured) Figures {
	f := Figures{Name: m.Name, Path: m.Path, Kind: m.Kind, Samples: len(m.Samples), FIM: fimOf(m.Gaps)}
	var nats float64
	var bytes int64
	for _, s := range m.Samples {
		nats, bytes, f.Tokens = nats+s.Nats, bytes+s.Bytes, f.Tokens+s.Tokens
	}
	f.Loss = nats / float64(f.Tokens)
	f.Perplexity = math.Exp(f.Loss)
	if bytes > 0 {
		bits := nats / math.Ln2 / float64(bytes)
		f.BitsPerByte = &bits
	}
	if len(m.Passages) > 0 {
		g := &General{}
		var nats float64
		for _, p := range m.Passages {
			nats, g.Tokens = nats+p.Nats, g.Tokens+p.Tokens
		}
		g.Loss = nats / float64(g.Tokens)
		g.Perplexity = math.Exp(g.Loss)
		f.General = g
	}
	return f
}

func fimOf(gaps []Gap) *FIM {
	if len(gaps) == 0 {
		return nil
	}
	f := &FIM{}
	byName := map[string]*Language{}
	for _, g := range gaps {
		l := byName[g.Language]
		if l == nil {
			l = &Language{Name: g.Language}
			byName[g.Language] = l
		}
		exact := 0.0
		if g.Exact {
			exact = 1
		}
		f.Gaps, f.ExactMatch, f.Similarity = f.Gaps+1, f.ExactMatch+exact, f.Similarity+g.Similarity
		l.Gaps, l.ExactMatch, l.Similarity = l.Gaps+1, l.ExactMatch+exact, l.Similarity+g.Similarity
	}
	f.ExactMatch, f.Similarity = f.ExactMatch/float64(f.Gaps), f.Similarity/float64(f.Gaps)
	for _, l := range byName {
		l.ExactMatch, l.Similarity = l.ExactMatch/float64(l.Gaps), l.Similarity/float64(l.Gaps)
		f.Languages = append(f.Languages, *l)
	}
	slices.SortFunc(f.Languages, func(a, b Language) int { return cmp.Or(b.Gaps-a.Gaps, cmp.Compare(a.Name, b.Name)) })
	return f
}
