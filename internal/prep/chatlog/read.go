package chatlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// source is one session file.
type source struct {
	path string // to open
	name string // to report: relative to the folder searched
	size int64
}

// findSources lists the session files at root, a folder or a single file, in order of
// path. The file skip, when it is among them, is left out. Replays that a
// compaction wrote (agent-acompact-*) hold nothing of their own.
func findSources(root, skip string) ([]source, error) {
	var out []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || path != root && !isSession(path) || sameFile(path, skip) {
			return nil
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			out = append(out, source{path: path, name: nameIn(root, path), size: info.Size()})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for session logs in %s: %w", root, err)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out, nil
}

func isSession(path string) bool {
	return strings.HasSuffix(path, ".jsonl") && !strings.HasPrefix(filepath.Base(path), "agent-acompact-")
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

// reading is what came out of one file.
type reading struct {
	session  *session
	lines    int
	problems []prep.Problem
	reasons  prep.Tally
	types    prep.Tally
}

// read parses a session file. Lines that cannot be read are problems, not
// errors. progress, when not nil, is told the bytes that were read.
func read(ctx context.Context, src source, progress func(int64)) (*reading, error) {
	f, err := os.Open(src.path)
	if err != nil {
		return nil, fmt.Errorf("open session log: %w", err)
	}
	defer f.Close()
	out := &reading{reasons: prep.Tally{}, types: prep.Tally{}}
	var records []*record
	lines := prep.NewLines(f, 0)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read session log %s: %w", src.path, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if progress != nil {
			progress(line.Size)
		}
		if r := out.parse(src.name, line); r != nil {
			records = append(records, r)
		}
	}
	out.session = newSession(src.name, records)
	if out.session.id == "" {
		out.session.id = strings.TrimSuffix(filepath.Base(src.path), ".jsonl")
	}
	return out, nil
}

// parse returns the record in a line, or nil.
func (rd *reading) parse(name string, line prep.Line) *record {
	rd.lines++
	switch {
	case line.TooLong:
		rd.problem(name, line.Number, reasonTooLong, "")
		return nil
	case line.Blank():
		return nil
	}
	r, err := parseRecord(bytes.TrimPrefix(line.Data, []byte("\ufeff")))
	switch {
	case err == nil:
		rd.types.Add(r.Type, 1)
		return r
	case line.Open:
		rd.problem(name, line.Number, reasonTorn, err.Error())
	default:
		rd.problem(name, line.Number, reasonMalformed, err.Error())
	}
	return nil
}

func (rd *reading) problem(name string, line int, reason, detail string) {
	text := reason
	if detail != "" {
		text += ": " + detail
	}
	rd.problems = append(rd.problems, prep.Problem{File: name, Line: line, Reason: text})
	rd.reasons.Add(reason, 1)
}
