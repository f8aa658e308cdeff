package fim

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// ignore holds the rules of the .gitignore files of one tree: the last rule
// that matches decides, rules of a deeper folder come later, "!" takes a path
// back in.
type ignore struct {
	dir   string
	rules []gitignore.Pattern
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
	domain := folders(rel)
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		// Git negates a class of characters with "!" too; the library, with "^" only.
		ig.rules = append(ig.rules, gitignore.ParsePattern(strings.ReplaceAll(line, "[!", "[^"), domain))
	}
	return nil
}

// match tells whether rel is ignored. The caller prunes ignored folders, so
// only rel itself is looked at.
func (ig *ignore) match(rel string, isDir bool) bool {
	return gitignore.NewMatcher(ig.rules).Match(strings.Split(rel, "/"), isDir)
}

// folders are the parts of a slash-separated path; none for "".
func folders(rel string) []string {
	if rel == "" || rel == "." {
		return nil
	}
	return strings.Split(rel, "/")
}
