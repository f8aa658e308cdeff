package chatlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/qlora/qlora/internal/prep"
)

// reading is what came out of a file, or a part of one.
type reading struct {
	sessions []*session
	lines    int
	problems []prep.Problem
	reasons  prep.Tally
	types    prep.Tally
}

func newReading() *reading { return &reading{reasons: prep.Tally{}, types: prep.Tally{}} }

// readLines gives every line of a source to take. What cannot be read is a
// problem of rd, not an error.
func (rd *reading) readLines(ctx context.Context, src source, progress func(int64), take func(prep.Line)) error {
	f, err := src.open(progress)
	if damaged(err) {
		rd.problem(src.name, 0, reasonDamaged, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := prep.NewLines(f, 0)
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case damaged(err):
			rd.problem(src.name, rd.lines+1, reasonDamaged, err.Error())
			return nil
		case err != nil:
			return fmt.Errorf("read session log %s: %w", src.name, err)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		rd.lines++
		switch {
		case line.TooLong:
			rd.problem(src.name, line.Number, reasonTooLong, "")
		case !line.Blank():
			line.Data = bytes.TrimPrefix(line.Data, []byte("\ufeff"))
			take(line)
		}
	}
}

// readSession parses the file of a Claude Code session.
func readSession(ctx context.Context, src source, p *parser, progress func(int64)) (*reading, error) {
	rd := newReading()
	var records []*record
	err := rd.readLines(ctx, src, progress, func(line prep.Line) {
		r, err := p.record(line.Data)
		if err != nil {
			rd.malformed(src.name, line, err)
			return
		}
		rd.types.Add(r.Type, 1)
		records = append(records, r)
	})
	if err != nil {
		return nil, err
	}
	s := newSession(src.name, records)
	s.results = resultsFolder(src)
	if s.id == "" {
		s.id = baseName(src.name)
	}
	rd.sessions = []*session{s}
	return rd, nil
}

// baseName is the name of a file without its folder and endings.
func baseName(name string) string {
	name = path.Base(name)
	for {
		end := path.Ext(name)
		switch end {
		case ".gz", ".zst", ".json", ".jsonl", ".ndjson", ".sse", ".txt", ".log":
			name = strings.TrimSuffix(name, end)
		default:
			return name
		}
	}
}

func (rd *reading) malformed(name string, line prep.Line, err error) {
	reason := reasonMalformed
	if line.Open {
		reason = reasonTorn
	}
	rd.problem(name, line.Number, reason, err.Error())
}

func (rd *reading) problem(name string, line int, reason, detail string) {
	text := reason
	if detail != "" {
		text += ": " + detail
	}
	rd.problems = append(rd.problems, prep.Problem{File: name, Line: line, Reason: text})
	rd.reasons.Add(reason, 1)
}
