package dataset

import "fmt"

// Sample is one tokenised training sequence.
type Sample struct {
	Tokens []int32
	// Train[i] says that token i is predicted with loss. Train[0] is never
	// set by Load: nothing stands before the first token to predict it from.
	Train []bool
	File  string
	Line  int // line of File the sample was read from, counted from 1
	// Source indexes Set.Sources; it gives the sample its weight.
	Source int
}

// Trained is the number of tokens of s that carry loss.
func (s *Sample) Trained() int {
	n := 0
	for i := 1; i < len(s.Train); i++ {
		if s.Train[i] {
			n++
		}
	}
	return n
}

// Where names the record s came from as file:line.
func (s *Sample) Where() string { return fmt.Sprintf("%s:%d", s.File, s.Line) }

// Set is the samples of all sources of a run, in file order.
type Set struct {
	Samples []Sample
	// Sources holds the files with their weights. A sample whose Source is
	// outside it counts once an epoch.
	Sources []Source
}

// Tokens is the number of tokens in the set, each sample counted once.
func (s *Set) Tokens() int64 {
	var n int64
	for i := range s.Samples {
		n += int64(len(s.Samples[i].Tokens))
	}
	return n
}

// Trained is the number of tokens of the set that carry loss.
func (s *Set) Trained() int64 {
	var n int64
	for i := range s.Samples {
		n += int64(s.Samples[i].Trained())
	}
	return n
}
