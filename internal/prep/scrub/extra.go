package scrub

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

const extraID = "extra"

// ParseExtra reads the lines of a --redact-extra file. A line is a text to
// redact, in any case; between two slashes it is a regular expression. Empty
// lines and lines that start with # are skipped.
func ParseExtra(content string) []string {
	var lines []string
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// extraRules makes rules of the lines. An error names the line by its number
// among them and never shows it: it may be the secret.
func extraRules(lines []string) ([]*rule, error) {
	var rules []*rule
	for i, line := range lines {
		r := &rule{id: extraID, description: "text or pattern given by --redact-extra"}
		r.source = `(?i)` + regexp.QuoteMeta(line)
		r.keywords = []string{strings.ToLower(line)}
		if len(line) > 2 && line[0] == '/' && line[len(line)-1] == '/' {
			r.source, r.keywords = line[1:len(line)-1], nil
		}
		re, err := regexp.Compile(r.source)
		if err != nil {
			return nil, fmt.Errorf("extra pattern %d is not a regular expression", i+1)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("extra pattern %d matches the empty text", i+1)
		}
		if r.shape, err = shapeOf(r.source, r.keywords); err != nil {
			return nil, fmt.Errorf("extra pattern %d cannot be used", i+1)
		}
		r.compiled = sync.OnceValue(func() *regexp.Regexp { return re })
		rules = append(rules, r)
	}
	return rules, nil
}
