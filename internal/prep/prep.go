// Package prep holds what the data preparation commands share: reading JSONL
// of unknown quality line by line, writing a result that appears whole or not
// at all, and counting what was left out and why.
//
// The work itself is in the packages below: chatlog turns session logs into
// conversations, fim turns repositories into fill-in-the-middle records, split
// merges data files and divides them into a training and an evaluation part.
package prep

import (
	"fmt"
	"sort"
)

// Tally counts things by reason.
type Tally map[string]int

// Add counts n more for reason. Nothing is recorded for n = 0.
func (t Tally) Add(reason string, n int) {
	if n != 0 {
		t[reason] += n
	}
}

// Merge adds every count of o.
func (t Tally) Merge(o Tally) {
	for reason, n := range o {
		t.Add(reason, n)
	}
}

// Total is the sum of all counts.
func (t Tally) Total() int {
	sum := 0
	for _, n := range t {
		sum += n
	}
	return sum
}

// Reasons lists the reasons, the most frequent first, ties by name.
func (t Tally) Reasons() []string {
	reasons := make([]string, 0, len(t))
	for reason := range t {
		reasons = append(reasons, reason)
	}
	sort.Slice(reasons, func(i, j int) bool {
		if t[reasons[i]] != t[reasons[j]] {
			return t[reasons[i]] > t[reasons[j]]
		}
		return reasons[i] < reasons[j]
	})
	return reasons
}

// InputError tells what is wrong with an input that was named: a folder in the
// place of a file, say.
type InputError struct{ Text string }

func (e *InputError) Error() string { return e.Text }

// Problem is a piece of input that could not be used: a line of a file, or the
// whole file when Line is 0.
type Problem struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Reason string `json:"reason"`
}

// String is "file:line: reason".
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Reason)
}
