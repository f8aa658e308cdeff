package split

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/qlora/qlora/internal/prep"
)

// Reasons for leaving a record out.
const (
	reasonDuplicate = "exact duplicate"
	reasonMalformed = "malformed line"
	reasonTooLong   = "over-long line"
	reasonKind      = "no known kind"
)

const maxProblems = 100

// index is what the first pass over the inputs found.
type index struct {
	groups  []*group
	byKey   map[key]*group
	content map[key]bool
	lines   [][]use // by input, by line
}

// use is what becomes of a line. Without a group it is left out.
type use struct {
	group *group
	kind  int
}

// eachLine calls do for every line of an input and returns the hash of the
// file.
func eachLine(ctx context.Context, path string, progress func(int64), do func(prep.Line) error) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open data file: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	lines := prep.NewLines(io.TeeReader(f, h), 0)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", fmt.Errorf("read data file %s: %w", path, err)
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if progress != nil {
			progress(line.Size)
		}
		if err := do(line); err != nil {
			return "", err
		}
	}
}

// scan reads one input into the index.
func (x *index) scan(ctx context.Context, in *Input, m *Manifest, progress func(int64)) error {
	var lines []use
	sum, err := eachLine(ctx, in.Path, progress, func(line prep.Line) error {
		lines = append(lines, x.add(in, line, m))
		return nil
	})
	in.SHA256 = sum
	x.lines = append(x.lines, lines)
	return err
}

// add decides what becomes of a line.
func (x *index) add(in *Input, line prep.Line, m *Manifest) use {
	if line.Blank() {
		return use{}
	}
	if line.TooLong {
		m.problem(in.Path, line.Number, reasonTooLong, reasonTooLong)
		return use{}
	}
	r, err := parse(trim(line))
	if err != nil {
		reason := reasonMalformed
		if errors.Is(err, errKind) {
			reason = reasonKind
		}
		m.problem(in.Path, line.Number, reason, err.Error())
		return use{}
	}
	in.Records++
	in.Kinds[kinds[r.kind].name]++
	if x.content[r.content] {
		m.Dropped.Add(reasonDuplicate, 1)
		return use{}
	}
	x.content[r.content] = true
	return use{group: x.group(r), kind: r.kind}
}

func (x *index) group(r record) *group {
	k := r.content
	if r.group != "" {
		k = keyOf([]byte(r.group))
	}
	g := x.byKey[k]
	if g == nil {
		g = &group{key: k, kind: r.kind}
		x.byKey[k] = g
		x.groups = append(x.groups, g)
	}
	g.records++
	return g
}

func (m *Manifest) problem(file string, line int, reason, text string) {
	m.Skipped++
	m.Dropped.Add(reason, 1)
	if len(m.Problems) < maxProblems {
		m.Problems = append(m.Problems, prep.Problem{File: file, Line: line, Reason: text})
	}
}
