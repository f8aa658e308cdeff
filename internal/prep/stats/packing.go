package stats

import (
	"fmt"

	"github.com/qlora/qlora/internal/dataset"
)

// Sized is the length of one sample, and the source whose weight it has.
type Sized struct {
	Tokens int
	Source int
}

// Packing is how an epoch fills rows of Size tokens, laid out by the trainer's
// own packer. What is longer than a row is cut to it.
type Packing struct {
	Size int `json:"context"`
	// Fit is the samples that need no cut, Kept the tokens that are left after
	// cutting, as shares.
	Fit  float64 `json:"samples_share"`
	Kept float64 `json:"tokens_share"`
	// Rows of an epoch, and the share of their positions that hold a token.
	Rows int     `json:"rows"`
	Fill float64 `json:"fill"`
	// The same with one sample a row.
	UnpackedFill float64 `json:"unpacked_fill"`
}

// Pack lays out the first epoch of samples in rows of size tokens.
func Pack(samples []Sized, sources []dataset.Source, size int, seed uint64) (Packing, error) {
	p := Packing{Size: size}
	set := &dataset.Set{Sources: sources, Samples: make([]dataset.Sample, len(samples))}
	blank := make([]int32, size) // the packer looks at lengths alone
	var fit, all, kept int64
	for i, s := range samples {
		n := min(s.Tokens, size)
		set.Samples[i] = dataset.Sample{Tokens: blank[:n], Source: s.Source}
		all += int64(s.Tokens)
		kept += int64(n)
		if n == s.Tokens {
			fit++
		}
	}
	p.Fit, p.Kept = share(fit, int64(len(samples))), share(kept, all)
	o := dataset.PackOptions{Rows: 1, Length: size, Pack: true, Seed: seed, Shuffle: true}
	packed := set.Plan(0, o)
	o.Pack = false
	plain := set.Plan(0, o)
	if err := packed.Err(); err != nil {
		return p, fmt.Errorf("lay out rows of %d tokens: %w", size, err)
	}
	p.Rows, p.Fill, p.UnpackedFill = packed.Len(), packed.Fill(), plain.Fill()
	return p, nil
}

// Suggest is the smallest of the sizes, in ascending order, in which at least
// cover of the samples fit whole; the largest when none will do, with ok false.
func Suggest(all []Packing, cover float64) (size int, ok bool) {
	for _, p := range all {
		if p.Fit >= cover {
			return p.Size, true
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	return all[len(all)-1].Size, false
}
