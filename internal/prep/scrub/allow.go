package scrub

import (
	"math"
	"regexp"
	"strings"
	"sync"
)

// allowlist names what looks like a secret and is none.
type allowlist struct {
	onMatch   bool // the expressions see the whole match, not the secret
	regex     func() *regexp.Regexp
	stopWords func() *automaton
}

func newAllowlist(t tomlAllowlist) *allowlist {
	a := &allowlist{onMatch: t.RegexTarget == "match"}
	if len(t.Regexes) > 0 {
		joined := "(?:" + strings.Join(t.Regexes, "|") + ")"
		a.regex = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(joined) })
	}
	if len(t.StopWords) > 0 {
		a.stopWords = sync.OnceValue(func() *automaton { return newAutomaton(t.StopWords) })
	}
	return a
}

func (a *allowlist) allows(match, secret string) bool {
	target := secret
	if a.onMatch {
		target = match
	}
	if secret == "" {
		return false
	}
	return a.regex != nil && a.regex().MatchString(target) || a.stopWords != nil && a.stopWords().contains(secret)
}

// entropy is Shannon's, in bits a character, with gitleaks' convention that
// characters are counted as runes and the length in bytes.
func entropy(s string) float64 {
	var ascii [128]int
	var other map[rune]int
	for _, r := range s {
		if r < 128 {
			ascii[r]++
			continue
		}
		if other == nil {
			other = map[rune]int{}
		}
		other[r]++
	}
	sum := 0.0
	add := func(n int) {
		if n > 0 {
			p := float64(n) / float64(len(s))
			sum -= p * math.Log2(p)
		}
	}
	for _, n := range ascii {
		add(n)
	}
	for _, n := range other {
		add(n)
	}
	return sum
}
