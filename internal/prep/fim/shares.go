package fim

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Shares say how often each way of choosing a span is tried first. They need
// not add up to one. Where a language has no syntax tree in this build, lines
// take that share.
type Shares struct {
	Syntax float64 `json:"ast"`  // a node of the syntax tree
	Line   float64 `json:"line"` // whole lines, or the rest of one
	Char   float64 `json:"char"` // from any character to any other
	Edge   float64 `json:"edge"` // from the start of the file, or to its end
}

func (s Shares) sum() float64 { return s.Syntax + s.Line + s.Char + s.Edge }

func (s Shares) check() error {
	return checkShares("shares of the span kinds", s.Syntax, s.Line, s.Char, s.Edge)
}

// String is the form that ParseShares reads.
func (s Shares) String() string {
	return fmt.Sprintf("ast:%g,line:%g,char:%g,edge:%g", s.Syntax, s.Line, s.Char, s.Edge)
}

// ParseShares reads "ast:.5,line:.25,char:.15,edge:.1"; what is not named is 0.
func ParseShares(text string) (Shares, error) {
	var s Shares
	fields := map[string]*float64{"ast": &s.Syntax, "line": &s.Line, "char": &s.Char, "edge": &s.Edge}
	if err := parseShares("span share", text, "ast:.5,line:.25,char:.15,edge:.1", fields); err != nil {
		return s, err
	}
	return s, s.check()
}

// Levels say how often a record shows its file alone, and how often other
// files of the repository before it.
type Levels struct {
	File float64 `json:"file"`
	Repo float64 `json:"repo"`
}

func (l Levels) check() error { return checkShares("shares of the levels", l.File, l.Repo) }

// repo is the probability of the repository level.
func (l Levels) repo() float64 { return l.Repo / (l.File + l.Repo) }

// String is the form that ParseLevels reads.
func (l Levels) String() string { return fmt.Sprintf("file:%g,repo:%g", l.File, l.Repo) }

// ParseLevels reads "file:.7,repo:.3"; what is not named is 0.
func ParseLevels(text string) (Levels, error) {
	var l Levels
	if err := parseShares("level", text, "file:.7,repo:.3", map[string]*float64{"file": &l.File, "repo": &l.Repo}); err != nil {
		return l, err
	}
	return l, l.check()
}

// parseShares reads "name:value" pairs; "=" may stand for ":".
func parseShares(what, text, example string, fields map[string]*float64) error {
	for _, pair := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(strings.Replace(pair, "=", ":", 1)), ":")
		field := fields[name]
		if !ok || field == nil {
			return fmt.Errorf("%s %q: write %s", what, pair, example)
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%s %q: %q is no number", what, pair, value)
		}
		*field = v
	}
	return nil
}

func checkShares(what string, values ...float64) error {
	sum := 0.0
	for _, v := range values {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			return fmt.Errorf("%s: %g is not a number from 0 on", what, v)
		}
		sum += v
	}
	if sum == 0 {
		return errors.New(what + " are all 0")
	}
	return nil
}
