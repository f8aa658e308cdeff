package stats

import "github.com/qlora/qlora/internal/prep"

// Report is what is known of the samples of some files.
type Report struct {
	// Exact is set when tokens are those of a vocabulary; without one they are
	// an estimate from characters, and Basis says which.
	Exact    bool   `json:"exact"`
	Basis    string `json:"basis"`
	Model    string `json:"model,omitempty"`
	Template string `json:"chat_template,omitempty"`

	Files []Group `json:"files"`
	All   Group   `json:"all"`

	// Duplicates are the samples whose kind and content another one before them
	// has.
	Duplicates int64   `json:"duplicates"`
	Longest    []Place `json:"longest"`

	// Skipped lines are no samples; Reasons counts them, Problems names the
	// first of them.
	Skipped  int            `json:"skipped"`
	Reasons  prep.Tally     `json:"skipped_reasons,omitempty"`
	Problems []prep.Problem `json:"problems,omitempty"`
}

// Group is the samples of one file, or of all.
type Group struct {
	Path       string `json:"path,omitempty"`
	Bytes      int64  `json:"bytes"`
	Samples    int64  `json:"samples"`
	Skipped    int    `json:"skipped"`
	Characters int64  `json:"characters"`
	Tokens     int64  `json:"tokens"`
	Trained    int64  `json:"trained_tokens"` // carry loss
	Context    int64  `json:"context_tokens"` // the others
	// Untrained samples have no token with loss; training leaves them out.
	Untrained int64 `json:"untrained_samples"`
	// OpenTurns and LostCalls are those that training warns about.
	OpenTurns int64 `json:"turns_without_end"`
	LostCalls int64 `json:"turns_without_calls"`

	Length    *Summary   `json:"length,omitempty"` // nil without samples
	Fits      []Fit      `json:"fits,omitempty"`
	Histogram []Bin      `json:"histogram,omitempty"`
	Kinds     Counts     `json:"kinds"`
	Roles     []RoleSize `json:"roles"`
	Languages Counts     `json:"languages"`
	Tools     Counts     `json:"tools"`
	Sources   Counts     `json:"sources"`

	// Lengths are the counts that Length, Fits and Histogram were made of.
	Lengths *Lengths `json:"-"`
}

// RoleSize is the messages of a role and the characters in them.
type RoleSize struct {
	Role       string `json:"role"`
	Messages   int64  `json:"messages"`
	Characters int64  `json:"characters"`
}

// Place is one sample and where it is.
type Place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Kind   string `json:"kind"`
	Tokens int    `json:"tokens"`
}

// Summary are figures of the lengths of samples, in tokens.
type Summary struct {
	Min  int     `json:"min"`
	Mean float64 `json:"mean"`
	Max  int     `json:"max"`
	P5   int     `json:"p5"`
	P25  int     `json:"p25"`
	P50  int     `json:"p50"`
	P75  int     `json:"p75"`
	P90  int     `json:"p90"`
	P95  int     `json:"p95"`
	P99  int     `json:"p99"`
}

// Fit is the share of the data that a context of Size tokens holds.
type Fit struct {
	Size    int     `json:"context"`
	Samples int64   `json:"samples"`
	Share   float64 `json:"samples_share"` // of the samples, that fit whole
	Tokens  float64 `json:"tokens_share"`  // of the tokens, when what is longer is cut
}

// ContextSizes are those that a report tells the fit of.
var ContextSizes = []int{1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10}

// histogramBins is the most bins of a report's histogram.
const histogramBins = 24

func summary(l *Lengths) *Summary {
	return &Summary{Min: l.min, Mean: l.Mean(), Max: l.max,
		P5: l.Percentile(5), P25: l.Percentile(25), P50: l.Percentile(50), P75: l.Percentile(75),
		P90: l.Percentile(90), P95: l.Percentile(95), P99: l.Percentile(99)}
}

func fits(l *Lengths) []Fit {
	out := make([]Fit, len(ContextSizes))
	for i, size := range ContextSizes {
		samples, tokens := l.AtMost(size)
		out[i] = Fit{Size: size, Samples: samples, Share: share(samples, l.count), Tokens: share(tokens, l.sum)}
	}
	return out
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
