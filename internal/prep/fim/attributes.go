package fim

import (
	"path"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitattributes"
)

// attributes holds the rules of a repository's .gitattributes files that tell
// linguist about files; the last rule that matches decides.
type attributes []gitattributes.MatchAttribute

// linguist is what the attributes say about one file.
type linguist struct {
	vendored, generated *bool  // nil where nothing is said
	language            string // "" where nothing is said
}

// readAttributes reads the .gitattributes files among paths. Rules of a deeper
// folder come later. A line that is no rule is passed over, as git does.
func readAttributes(paths []string, read func(path string) ([]byte, error)) attributes {
	var files []string
	for _, p := range paths {
		if path.Base(p) == ".gitattributes" {
			files = append(files, p)
		}
	}
	sort.SliceStable(files, func(i, j int) bool { return strings.Count(files[i], "/") < strings.Count(files[j], "/") })
	var rules attributes
	for _, file := range files {
		text, err := read(file)
		if err != nil {
			continue // it is listed as a file, and counted there
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if !strings.Contains(line, "linguist-") {
				continue
			}
			rule, err := gitattributes.ParseAttributesLine(line, folders(path.Dir(file)), false)
			if err == nil && rule.Pattern != nil {
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// of looks a path up. The rules are walked here, not by the library's matcher,
// in which an earlier rule can win over a later one.
func (a attributes) of(file string) linguist {
	var l linguist
	if len(a) == 0 {
		return l
	}
	parts := strings.Split(file, "/")
	for _, rule := range a {
		if !rule.Pattern.Match(parts) {
			continue
		}
		for _, attr := range rule.Attributes {
			switch attr.Name() {
			case "linguist-vendored":
				l.vendored = flag(attr)
			case "linguist-generated":
				l.generated = flag(attr)
			case "linguist-language":
				l.language = attr.Value()
			}
		}
	}
	return l
}

// flag is what an attribute sets; nil for "!name", which takes it back.
func flag(a gitattributes.Attribute) *bool {
	if a.IsUnspecified() {
		return nil
	}
	on := a.IsSet() || a.IsValueSet() && a.Value() != "false" && a.Value() != "0"
	return &on
}
