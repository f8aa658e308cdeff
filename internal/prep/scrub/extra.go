package scrub

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"
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
		r.keywords = keywordOf(line)
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

// minKeyword is the length from which a part of a text is worth looking for.
const minKeyword = 3

// keywordOf is what to look for to find a text in any case: all of it, or,
// since literals know the case of ASCII only, its longest run of that. Without
// one the expression runs over everything.
func keywordOf(line string) []string {
	longest := ""
	for run := range strings.FieldsFuncSeq(line, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if len(run) > len(longest) {
			longest = run
		}
	}
	if longest != line && len(longest) < minKeyword {
		return nil
	}
	return []string{strings.ToLower(longest)}
}
