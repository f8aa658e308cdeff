package fim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// Listing is how the files of a repository were found.
type Listing struct {
	Dir    string `json:"dir"`
	Repo   string `json:"repo"`
	Method string `json:"method"`         // "git" or "walk"
	Note   string `json:"note,omitempty"` // why git was not used
	Files  int    `json:"files"`

	paths []string // slash-separated, relative to Dir, sorted
}

const (
	methodGit  = "git"
	methodWalk = "walk"
)

// list finds the files of the repository at dir: those that git tracks, or,
// without git, all that the .gitignore files leave.
func list(ctx context.Context, dir, repo string) (*Listing, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("open repository %s: not a folder", dir)
	}
	l := &Listing{Dir: dir, Repo: repo, Method: methodGit}
	l.paths, err = tracked(ctx, dir)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		l.Method, l.Note = methodWalk, err.Error()
		if l.paths, err = walk(ctx, dir); err != nil {
			return nil, fmt.Errorf("list the files of %s: %w", dir, err)
		}
	}
	sort.Strings(l.paths)
	l.Files = len(l.paths)
	return l, nil
}

// tracked asks git for the files under dir that it tracks.
func tracked(ctx context.Context, dir string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "ls-files", "-z", "--cached")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, errors.New("git is not installed")
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("git: %s", strings.TrimPrefix(line, "fatal: "))
	case len(out) == 0:
		return nil, errors.New("git tracks no file here")
	}
	var paths []string
	last := ""
	for _, path := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if path != last { // a file in conflict is listed once a stage
			paths = append(paths, path)
		}
		last = path
	}
	return paths, nil
}

// walk lists the regular files under dir that no .gitignore excludes.
func walk(ctx context.Context, dir string) ([]string, error) {
	ig := newIgnore(dir)
	var paths []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case rel == ".":
			return ig.load("")
		case d.IsDir() && (d.Name() == ".git" || ig.match(rel, true)):
			return filepath.SkipDir
		case d.IsDir():
			return ig.load(rel)
		case d.Type().IsRegular() && !ig.match(rel, false):
			paths = append(paths, rel)
		}
		return nil
	})
	return paths, err
}
