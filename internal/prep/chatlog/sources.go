package chatlog

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// source is one file that holds conversations, perhaps inside an archive.
type source struct {
	path  string // to open
	entry string // file inside the archive path; "" when path is no archive
	name  string // to report: relative to the folder searched
	size  int64  // bytes, as stored
	kind  kind

	replies []source // files with the responses to this one's requests
}

// inputs is what a search found.
type inputs struct {
	sources  []source
	others   int // files that hold no conversations
	links    int // links to folders, which are not followed
	twins    int // files that were found before
	problems []prep.Problem
}

// findSources looks for conversations in files and folders and decides by what
// a file holds, not by its name. The file skip, when it is among them, is left
// out. Replays that a compaction wrote (agent-acompact-*) and stored tool
// results hold nothing of their own.
func findSources(ctx context.Context, roots []string, skip string) (*inputs, error) {
	in := &inputs{}
	for _, root := range roots {
		prefix := ""
		if len(roots) > 1 {
			prefix = filepath.Base(filepath.Clean(root)) + "/"
		}
		if err := in.walk(root, prefix, skip); err != nil {
			return nil, fmt.Errorf("look for session logs in %s: %w", root, err)
		}
	}
	sort.SliceStable(in.sources, func(i, j int) bool { return in.sources[i].name < in.sources[j].name })
	in.sources = withReplies(in.sources)
	if err := in.withResults(ctx); err != nil {
		return nil, fmt.Errorf("look for the requests of results: %w", err)
	}
	return in, nil
}

func (in *inputs) walk(root, prefix, skip string) error {
	if info, err := os.Stat(root); err == nil && info.IsDir() {
		if root, err = filepath.EvalSymlinks(root); err != nil { // WalkDir follows no link, the first neither
			return err
		}
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if in.locked(prefix+nameIn(root, path), path != root, err) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && skipFolder(d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if path != root && strings.HasPrefix(d.Name(), "agent-acompact-") || sameFile(path, skip) {
			return nil
		}
		info, err := os.Stat(path)
		switch {
		case err != nil && path != root && d.Type()&fs.ModeSymlink != 0: // it leads nowhere, or in a circle
			in.others++
		case err != nil:
			return err
		case info.IsDir():
			in.links++
		case info.Mode().IsRegular():
			src := source{path: path, name: prefix + nameIn(root, path), size: info.Size()}
			if err := in.look(src); !in.locked(src.name, path != root, err) {
				return err
			}
		case path == root:
			return &prep.InputError{Text: fmt.Sprintf("%s is no file and no folder: write its data to a file first", path)}
		}
		return nil
	})
}

// locked takes note of a file or folder that may not be read, which ends no
// search unless it was named itself.
func (in *inputs) locked(name string, found bool, err error) bool {
	if !found || !errors.Is(err, fs.ErrPermission) {
		return false
	}
	in.problems = append(in.problems, prep.Problem{File: name, Reason: reasonLocked})
	return true
}

// skipFolder passes over what never holds logs: stored tool results, which may
// well look like some, and what a version control system keeps.
func skipFolder(name string) bool { return name == "tool-results" || name == ".git" }

// look adds src, or what is inside it when it is an archive.
func (in *inputs) look(src source) error {
	isZip, err := startsWith(src.path, zipMagic)
	if err != nil {
		return fmt.Errorf("open session log: %w", err)
	}
	if !isZip {
		return in.add(src)
	}
	archive, err := zip.OpenReader(src.path)
	if err != nil {
		in.damaged(src, err)
		return nil
	}
	defer archive.Close()
	for _, f := range archive.File {
		if !f.Mode().IsRegular() {
			continue
		}
		inner := src
		inner.entry, inner.name, inner.size = f.Name, src.name+"/"+f.Name, int64(f.UncompressedSize64)
		if err := in.add(inner); err != nil {
			return err
		}
	}
	return nil
}

// add keeps src when it holds conversations.
func (in *inputs) add(src source) error {
	s, err := src.open(nil)
	if err == nil {
		defer s.Close()
		src.kind, err = sniff(s)
	}
	switch {
	case damaged(err):
		in.damaged(src, err)
	case err != nil:
		return err
	case src.kind == kindUnknown:
		in.others++
	default:
		in.sources = append(in.sources, src)
	}
	return nil
}

func (in *inputs) damaged(src source, err error) {
	in.problems = append(in.problems, prep.Problem{File: src.name, Reason: reasonDamaged + ": " + err.Error()})
}

func startsWith(path string, magic []byte) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(magic))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return bytes.Equal(head[:n], magic), nil
}

func nameIn(root, path string) string {
	rel, err := filepath.Rel(root, path)
	if err != nil || rel == "." {
		return filepath.Base(path)
	}
	return filepath.ToSlash(rel)
}

func sameFile(a, b string) bool {
	if b == "" {
		return false
	}
	ia, errA := os.Stat(a)
	ib, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(ia, ib)
}

var (
	requestWord  = regexp.MustCompile(`(?i)(^|[^a-z])(requests?|req)([^a-z]|$)`)
	responseWord = regexp.MustCompile(`(?i)(^|[^a-z])(responses?|resp|res)([^a-z]|$)`)
)

// withReplies puts files of responses behind the file of their requests:
// 01.request.json and 01.response.sse, say.
func withReplies(sources []source) []source {
	stem := func(src source, word *regexp.Regexp) string {
		return path.Join(path.Dir(src.name), word.ReplaceAllString(baseName(src.name), "$1*$3"))
	}
	requests := map[string]int{}
	var out, rest []source
	for _, src := range sources {
		base := baseName(src.name)
		switch {
		case src.kind == kindAPI && requestWord.MatchString(base):
			requests[stem(src, requestWord)] = len(out)
			out = append(out, src)
		case src.kind == kindAPI && responseWord.MatchString(base):
			rest = append(rest, src)
		default:
			out = append(out, src)
		}
	}
	for _, src := range rest {
		if i, ok := requests[stem(src, responseWord)]; ok {
			out[i].replies = append(out[i].replies, src)
		} else {
			out = append(out, src)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}
