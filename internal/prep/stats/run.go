package stats

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/extsort"
)

// Options says what to measure and how.
type Options struct {
	Paths   []string
	Encoder Encoder // nil: lengths are estimated from characters
	// Model and Template are named in the report.
	Model, Template string
	// Workers is the number of goroutines that measure; 0 is one a core. The
	// report does not depend on it.
	Workers int
	// Each, if set, is told of every sample, in order: the index of its path, its
	// tokens, and how many of them carry loss.
	Each func(path, tokens, trained int)
	// Strict makes the first line that cannot be used an error.
	Strict bool
	// Total, if set, is told the bytes of all files, -1 where one is a pipe;
	// Progress those that were read since it was called last.
	Total    func(bytes int64)
	Progress func(bytes int64)
}

// ErrNothing is that no line of the input is a sample. The report comes with it.
var ErrNothing = errors.New("no usable sample")

const (
	longestPlaces = 10
	maxProblems   = 100
	// idBudget is the memory for fingerprints; more of them go to disk.
	idBudget = 64 << 20
)

// Run measures the files, each in one pass.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if err := check(o.Paths); err != nil {
		return nil, err
	}
	if o.Total != nil {
		o.Total(dataset.Size(o.Paths))
	}
	c := &collector{o: o, ids: extsort.New(os.TempDir(), idBudget), report: &Report{Reasons: prep.Tally{}}}
	defer func() { err = errors.Join(err, c.ids.Close()) }()
	for i, path := range o.Paths {
		c.path = i
		if err := c.file(ctx, path); err != nil {
			return nil, err
		}
	}
	return c.finish()
}

// check finds files that are not there before any is read.
func check(paths []string) error {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("read data: %w", err)
		}
		if info.IsDir() {
			return &prep.InputError{Text: fmt.Sprintf("read data: %s is a folder; name its files", path)}
		}
	}
	return nil
}

// collector takes samples in order and makes the report.
type collector struct {
	o      Options
	path   int // index of the file that is read
	all    groupBuilder
	ids    *extsort.Sorter
	report *Report
}

func (c *collector) file(ctx context.Context, path string) error {
	g := &groupBuilder{group: Group{Path: path}}
	err := eachBatch(ctx, path, c.o, func(b *batch) error {
		g.group.Bytes += b.size
		for i := range b.samples {
			if err := c.take(&b.samples[i], g); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c.all.group.Bytes += g.group.Bytes
	c.report.Files = append(c.report.Files, g.finish())
	return nil
}

func (c *collector) take(s *sample, g *groupBuilder) error {
	if s.err != nil {
		p := prep.Problem{File: s.file, Line: s.line, Reason: s.err.Error()}
		if c.o.Strict {
			return &LineError{Problem: p, Err: s.err}
		}
		c.report.Skipped++
		g.group.Skipped++
		c.all.group.Skipped++
		addReason(c.report.Reasons, s.err)
		if len(c.report.Problems) < maxProblems {
			c.report.Problems = append(c.report.Problems, p)
		}
		return nil
	}
	g.add(s)
	c.all.add(s)
	c.noteLongest(s)
	if c.o.Each != nil {
		c.o.Each(c.path, s.tokens, s.trained)
	}
	if err := c.ids.Add(s.id[:]); err != nil {
		return fmt.Errorf("look for duplicates: %w", err)
	}
	return nil
}

// noteLongest keeps the longest samples, the earlier of two alike first.
func (c *collector) noteLongest(s *sample) {
	list := c.report.Longest
	if len(list) == longestPlaces && s.tokens <= list[len(list)-1].Tokens {
		return
	}
	list = append(list, Place{File: s.file, Line: s.line, Kind: string(s.kind), Tokens: s.tokens})
	slices.SortStableFunc(list, func(a, b Place) int { return cmp.Compare(b.Tokens, a.Tokens) })
	c.report.Longest = list[:min(len(list), longestPlaces)]
}

func (c *collector) finish() (*Report, error) {
	r := c.report
	r.All = c.all.finish()
	r.Exact = c.o.Encoder != nil
	r.Model, r.Template = c.o.Model, c.o.Template
	r.Basis = fmt.Sprintf("estimate, %g characters a token; a model's vocabulary counts them", CharsPerToken)
	if r.Exact {
		r.Basis = "tokens of the model's vocabulary, chats through its template"
	}
	var err error
	if r.Duplicates, err = duplicates(c.ids); err != nil {
		return nil, fmt.Errorf("look for duplicates: %w", err)
	}
	if r.All.Samples == 0 {
		return r, ErrNothing
	}
	return r, nil
}

// duplicates counts the fingerprints that are not the first of their value.
func duplicates(ids *extsort.Sorter) (n int64, err error) {
	var last []byte
	err = ids.Each(func(id []byte) error {
		if last != nil && bytes.Equal(id, last) {
			n++
		}
		last = append(last[:0], id...)
		return nil
	})
	return n, err
}
