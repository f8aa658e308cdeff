package show

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
)

// Choice says which lines of a file to take. Blank lines do not count.
type Choice struct {
	N      int   // how many
	Index  int   // start at this record, from 1; 0 is the first
	Line   int   // start at this line of the file, from 1; 0 leaves it to Index
	Random bool  // draw N records from the whole file instead
	Seed   int64 // of the drawing
	// Progress, if set, is told the bytes that were read of the file.
	Progress func(bytes int64)
}

// Picked is one line of a file.
type Picked struct {
	File        string
	Line, Index int // from 1
	Data        []byte
	Err         error // why Data is not there
}

// ErrNotThere is that a file has no such record or line.
var ErrNotThere = errors.New("not in the file")

var errTooLong = fmt.Errorf("line longer than %d MiB", dataset.MaxLine>>20)

// Pick reads as much of the file as it needs, keeping only what it takes, and
// returns that in file order.
func Pick(ctx context.Context, path string, c Choice) ([]Picked, error) {
	f, err := dataset.Open(ctx, path, c.Progress)
	if err != nil {
		return nil, fmt.Errorf("read data: %w", err)
	}
	defer f.Close()
	p := &picker{c: c, file: path, random: rand.New(rand.NewPCG(uint64(c.Seed), 1))}
	lines := prep.NewLines(f, dataset.MaxLine)
	for !p.full() {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		p.look(line)
	}
	return p.finish()
}

type picker struct {
	c      Choice
	file   string
	random *rand.Rand
	index  int // records seen
	taken  []Picked
}

// full reports that nothing that follows can be wanted.
func (p *picker) full() bool { return !p.c.Random && len(p.taken) >= p.c.N }

func (p *picker) look(line prep.Line) {
	data := line.Data
	if line.Number == 1 {
		data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	}
	if data = bytes.TrimSpace(data); len(data) == 0 && !line.TooLong {
		return
	}
	p.index++
	at := len(p.taken)
	switch {
	case !p.c.Random && (p.index < p.c.Index || line.Number < p.c.Line):
		return
	case p.c.Random && at >= p.c.N: // a reservoir: each record is as likely to stay
		if at = p.random.IntN(p.index); at >= p.c.N {
			return
		}
	}
	if at == len(p.taken) {
		p.taken = append(p.taken, Picked{})
	}
	p.taken[at] = Picked{File: p.file, Line: line.Number, Index: p.index, Data: bytes.Clone(data)}
	if line.TooLong {
		p.taken[at].Err = errTooLong
	}
}

func (p *picker) finish() ([]Picked, error) {
	switch {
	case p.c.Line > 0 && (len(p.taken) == 0 || p.taken[0].Line != p.c.Line):
		return nil, fmt.Errorf("line %d of %s is %w, or blank", p.c.Line, p.file, ErrNotThere)
	case len(p.taken) == 0 && p.c.Index > 0:
		return nil, fmt.Errorf("record %d is %w: %s has %d", p.c.Index, ErrNotThere, p.file, p.index)
	case len(p.taken) == 0:
		return nil, fmt.Errorf("a record is %w: %s is empty", ErrNotThere, p.file)
	}
	slices.SortFunc(p.taken, func(a, b Picked) int { return cmp.Compare(a.Line, b.Line) })
	return p.taken, nil
}
