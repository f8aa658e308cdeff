package scrub

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
	"github.com/zricethezav/gitleaks/v8/config"
)

// The shape of gitleaks' rule file, as far as it concerns text without a path.
type (
	tomlFile struct {
		Rules     []tomlRule    `toml:"rules"`
		Allowlist tomlAllowlist `toml:"allowlist"`
	}
	tomlRule struct {
		ID          string          `toml:"id"`
		Description string          `toml:"description"`
		Regex       string          `toml:"regex"`
		Path        string          `toml:"path"`
		SecretGroup int             `toml:"secretGroup"`
		Entropy     float64         `toml:"entropy"`
		Keywords    []string        `toml:"keywords"`
		Allowlists  []tomlAllowlist `toml:"allowlists"`
	}
	tomlAllowlist struct {
		RegexTarget string   `toml:"regexTarget"`
		Regexes     []string `toml:"regexes"`
		StopWords   []string `toml:"stopwords"`
	}
)

// rule finds secrets of one kind by a regular expression that is tried only
// near a literal that every match contains.
type rule struct {
	id          string
	description string
	source      string // the regular expression
	compiled    func() *regexp.Regexp
	keywords    []string // lower case; one must be near the match
	group       int      // of the secret; 0 is the first group that is not empty
	entropy     float64  // bits a character that the secret must exceed; 0 is any
	allow       []*allowlist
	shape       shape
	accept      func(secret string) bool                    // a further condition; nil is none
	inText      func(text string, start, from, to int) bool // one that sees the match from start, the secret text[from:to] and all around; nil is none
	index       int                                         // among the rules of a Scrubber
}

// genericID is the rule that takes any value with a telling name for a secret.
const genericID = "generic-api-key"

// gitleaksRules reads the rules that gitleaks ships. Rules that need the path
// of a file are left out, as gitleaks does for text without one.
var gitleaksRules = sync.OnceValues(func() ([]*rule, error) {
	var file tomlFile
	if err := toml.Unmarshal([]byte(config.DefaultConfig), &file); err != nil {
		return nil, fmt.Errorf("read the gitleaks rules: %w", err)
	}
	global := newAllowlist(file.Allowlist)
	var rules []*rule
	for _, t := range file.Rules {
		if t.Regex == "" || t.Path != "" || t.ID == pemRule.id {
			continue
		}
		r, err := newRule(t)
		if err != nil {
			return nil, err
		}
		r.allow = append(r.allow, global)
		if r.id == genericID {
			r.inText = genericHolds
		}
		rules = append(rules, r)
	}
	return rules, nil
})

// newRule prepares a rule; its expression is compiled when it is first needed.
func newRule(t tomlRule) (*rule, error) {
	r := &rule{id: t.ID, description: t.Description, source: t.Regex, group: t.SecretGroup, entropy: t.Entropy}
	for _, keyword := range t.Keywords {
		r.keywords = append(r.keywords, strings.ToLower(keyword))
	}
	for _, a := range t.Allowlists {
		if len(a.Regexes)+len(a.StopWords) > 0 {
			r.allow = append(r.allow, newAllowlist(a))
		}
	}
	var err error
	if r.shape, err = shapeOf(t.Regex, r.keywords); err != nil {
		return nil, fmt.Errorf("rule %s: %w", t.ID, err)
	}
	r.compiled = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(t.Regex) })
	return r, nil
}

// secret finds the secret in a match of the rule's expression, as the offsets
// of its bytes. Like gitleaks, it applies the expression to the match alone.
func (r *rule) secret(match string) (start, end int) {
	groups := r.compiled().FindStringSubmatchIndex(match)
	if len(groups) < 4 {
		return 0, len(match)
	}
	if r.group > 0 {
		return max(groups[2*r.group], 0), max(groups[2*r.group+1], 0)
	}
	for g := 2; g < len(groups); g += 2 {
		if groups[g] >= 0 && groups[g+1] > groups[g] {
			return groups[g], groups[g+1]
		}
	}
	return 0, len(match)
}

// holds applies the conditions that follow the expression.
func (r *rule) holds(match, secret string) bool {
	if strings.Contains(strings.ToLower(secret), "redacted") || isPublished(secret) {
		return false
	}
	if r.entropy != 0 && entropy(secret) <= r.entropy {
		return false
	}
	if r.accept != nil && !r.accept(secret) {
		return false
	}
	for _, a := range r.allow {
		if a.allows(match, secret) {
			return false
		}
	}
	return true
}
