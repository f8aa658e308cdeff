package fim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// Listing is a repository and how its files were found.
type Listing struct {
	Dir     string `json:"dir"`
	Repo    string `json:"repo"`
	Method  string `json:"method"`            // "git", "commit" or "walk"
	Note    string `json:"note,omitempty"`    // why git was not used
	Commit  string `json:"commit,omitempty"`  // with method "commit"
	License string `json:"license,omitempty"` // of the file at the top, as SPDX expression
	Files   int    `json:"files"`

	entries  []entry  // sorted by path
	locked   []string // folders that may not be read
	reader   source
	rules    attributes
	licenses map[string]string // SPDX expression by folder
}

const (
	methodGit    = "git"
	methodWalk   = "walk"
	methodCommit = "commit"
)

// entry is a file of a repository.
type entry struct {
	path    string // slash-separated, relative to the repository
	size    int64
	regular bool
	object  string // of git, when the file is read from a commit
}

// source reads the files of a repository. It is safe for concurrent use.
type source interface {
	read(ctx context.Context, e entry) ([]byte, error)
	close() error
}

// list finds the files of the repository at dir: those of the commit rev; or
// those that git tracks, or, without git, all that the .gitignore files leave.
// A bare repository without rev is read at HEAD.
func list(ctx context.Context, dir, repo, rev string) (*Listing, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	if !info.IsDir() {
		return nil, &prep.InputError{Text: fmt.Sprintf("open repository %s: not a folder", dir)}
	}
	l := &Listing{Dir: dir, Repo: repo}
	if rev == "" && isBare(dir) {
		rev = "HEAD"
	}
	if rev != "" {
		err = l.listCommit(ctx, rev)
	} else {
		err = l.listFolder(ctx)
	}
	if err != nil {
		return nil, err
	}
	sort.Slice(l.entries, func(i, j int) bool { return l.entries[i].path < l.entries[j].path })
	l.Files = len(l.entries)
	l.rules = readAttributes(l.paths(), func(path string) ([]byte, error) { return l.readPath(ctx, path) })
	return l, nil
}

// isBare tells a bare repository by its parts.
func isBare(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

func (l *Listing) paths() []string {
	paths := make([]string, 0, len(l.entries))
	for _, e := range l.entries {
		paths = append(paths, e.path)
	}
	return paths
}

// readPath reads a listed file by its path.
func (l *Listing) readPath(ctx context.Context, path string) ([]byte, error) {
	i := sort.Search(len(l.entries), func(i int) bool { return l.entries[i].path >= path })
	if i == len(l.entries) || l.entries[i].path != path || !l.entries[i].regular || l.entries[i].size > maxSideFile {
		return nil, fmt.Errorf("read %s: %w", path, fs.ErrNotExist)
	}
	return l.reader.read(ctx, l.entries[i])
}

// maxSideFile bounds licences and attributes, bytes.
const maxSideFile = 1 << 20

// fingerprint is a hash of the paths and sizes of the files.
func (l *Listing) fingerprint() string {
	h := sha256.New()
	for _, e := range l.entries {
		fmt.Fprintf(h, "%s\x00%d\x00%t\x00", e.path, e.size, e.regular)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (l *Listing) listFolder(ctx context.Context) error {
	l.Method = methodGit
	paths, err := tracked(ctx, l.Dir)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		l.Method, l.Note = methodWalk, err.Error()
		if paths, l.locked, err = walk(ctx, l.Dir); err != nil {
			return fmt.Errorf("list the files of %s: %w", l.Dir, err)
		}
	}
	for _, path := range paths {
		e := entry{path: path}
		if info, err := os.Lstat(filepath.Join(l.Dir, filepath.FromSlash(path))); err == nil {
			e.size, e.regular = info.Size(), info.Mode().IsRegular()
		}
		l.entries = append(l.entries, e)
	}
	l.reader = folder(l.Dir)
	return nil
}

// tracked asks git for the files under dir that it tracks.
func tracked(ctx context.Context, dir string) ([]string, error) {
	out, err := git(ctx, dir, "ls-files", "-z", "--cached")
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("git tracks no file here")
	}
	var paths []string
	last := ""
	for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if path != last { // a file in conflict is listed once a stage
			paths = append(paths, path)
		}
		last = path
	}
	return paths, nil
}

// git runs git in dir and returns what it prints.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, errNoGit
	case err != nil:
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("git: %s", strings.TrimPrefix(line, "fatal: "))
	}
	return out, nil
}

var errNoGit = errors.New("git is not installed")

// walk lists the files under dir that no .gitignore excludes, and the folders
// that may not be read.
func walk(ctx context.Context, dir string) (paths, locked []string, err error) {
	dir, err = filepath.EvalSymlinks(dir) // WalkDir follows no link, the first neither
	if err != nil {
		return nil, nil, err
	}
	ig := newIgnore(dir)
	visit := func(path string, d fs.DirEntry, err error) error {
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
		case !ig.match(rel, false):
			paths = append(paths, rel)
		}
		return nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		err = visit(path, d, err)
		if path != dir && errors.Is(err, fs.ErrPermission) {
			locked = append(locked, filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator))))
			return filepath.SkipDir
		}
		return err
	})
	return paths, locked, err
}

// folder reads files from a working tree.
type folder string

// read reads a file that may have grown since it was listed.
func (dir folder) read(_ context.Context, e entry) ([]byte, error) {
	f, err := os.Open(filepath.Join(string(dir), filepath.FromSlash(e.path)))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src := make([]byte, e.size+1)
	n, err := readFull(f, src)
	if err == nil && int64(n) > e.size {
		err = errChanged
	}
	return src[:n], err
}

func (folder) close() error { return nil }

var errChanged = errors.New("file changed while it was read")
