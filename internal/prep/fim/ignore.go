package fim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ignore holds the rules of the .gitignore files of one tree. The format is
// gitignore(5): the last rule that matches decides, rules of a deeper folder
// come later, "!" takes a path back in.
type ignore struct {
	dir   string
	rules []ignoreRule
}

type ignoreRule struct {
	base    string // folder of the file that holds the rule, "" or "a/b/"
	pattern *regexp.Regexp
	negate  bool
	dirOnly bool
}

func newIgnore(dir string) *ignore { return &ignore{dir: dir} }

// load adds the rules of the .gitignore in the folder rel, if there is one.
func (ig *ignore) load(rel string) error {
	text, err := os.ReadFile(filepath.Join(ig.dir, filepath.FromSlash(rel), ".gitignore"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ignore rules: %w", err)
	}
	if rel != "" {
		rel += "/"
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rule, ok := parseIgnore(rel, line); ok {
			ig.rules = append(ig.rules, rule)
		}
	}
	return nil
}

// match tells whether rel is ignored. The caller prunes ignored folders, so
// only rel itself is looked at.
func (ig *ignore) match(rel string, isDir bool) bool {
	for i := len(ig.rules) - 1; i >= 0; i-- {
		r := ig.rules[i]
		below, ok := strings.CutPrefix(rel, r.base)
		if ok && (isDir || !r.dirOnly) && r.pattern.MatchString(below) {
			return !r.negate
		}
	}
	return false
}

func parseIgnore(base, line string) (ignoreRule, bool) {
	line = trimPattern(strings.TrimSuffix(line, "\r"))
	if line == "" || line[0] == '#' {
		return ignoreRule{}, false
	}
	r := ignoreRule{base: base}
	if line[0] == '!' {
		r.negate, line = true, line[1:]
	}
	if strings.HasSuffix(line, "/") {
		r.dirOnly, line = true, strings.TrimSuffix(line, "/")
	}
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return ignoreRule{}, false
	}
	expr := globExpr(line)
	if !anchored {
		expr = "(?:.*/)?" + expr
	}
	re, err := regexp.Compile("^" + expr + "$")
	if err != nil { // a bracket that is no character class: git matches nothing either
		return ignoreRule{}, false
	}
	r.pattern = re
	return r, true
}

// trimPattern removes trailing spaces that no backslash protects.
func trimPattern(line string) string {
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	return line
}

// globExpr translates a pattern into a regular expression.
func globExpr(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		rest := p[i:]
		switch {
		case strings.HasPrefix(rest, "**/") && (i == 0 || p[i-1] == '/'):
			b.WriteString("(?:.*/)?")
			i += 2
		case rest == "**" && i > 0 && p[i-1] == '/':
			b.WriteString(".+")
			i++
		case p[i] == '*':
			b.WriteString("[^/]*")
		case p[i] == '?':
			b.WriteString("[^/]")
		case p[i] == '[':
			class, n := globClass(rest)
			b.WriteString(class)
			i += n - 1
		case p[i] == '\\' && i+1 < len(p):
			i++
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		}
	}
	return b.String()
}

// globClass translates "[a-z]" or "[!a-z]" at the start of p and returns the
// bytes it took.
func globClass(p string) (expr string, n int) {
	from := 1
	if from < len(p) && (p[from] == '!' || p[from] == '^') {
		from++
	}
	end := strings.IndexByte(p[min(from+1, len(p)):], ']')
	if end < 0 {
		return regexp.QuoteMeta("["), 1
	}
	end += from + 1
	body := strings.ReplaceAll(p[from:end], `[`, `\[`)
	if from == 2 {
		return "[^/" + body + "]", end + 1
	}
	return "[" + body + "]", end + 1
}
