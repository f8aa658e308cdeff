package split

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/prep"
)

// Split reads the inputs twice, once to describe every record, once to copy
// the lines, and writes TrainFile, EvalFile and the manifest. Lines are copied
// as they are, in the order of the input. With o.Parts the descriptions are
// those that Part wrote.
func Split(ctx context.Context, o Options) (*Manifest, error) {
	o = o.filled()
	m, s, err := prepare(ctx, o)
	if err != nil {
		return m, err
	}
	defer s.close()
	x := newIndex(o, m)
	defer x.store.close()
	if err := x.fill(ctx, s); err != nil {
		return m, err
	}
	d, err := x.choose(ctx)
	if err != nil {
		return m, err
	}
	o.phase("writing data")
	return m, x.write(ctx, d)
}

// Part describes the records of the shard o.Shard for a later Split with the
// same o.Parts.
func Part(ctx context.Context, o Options) (*PartReport, error) {
	o = o.filled()
	_, s, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	defer s.close()
	h, err := s.header()
	if err != nil {
		return nil, err
	}
	h.Spec = o.Shard
	s.owns = owns(o.Shard)
	return writePart(ctx, s, h)
}

// prepare finds the inputs and makes sure that the outputs may be written.
func prepare(ctx context.Context, o Options) (*Manifest, *scanner, error) {
	if err := o.Check(); err != nil {
		return nil, nil, err
	}
	m := newManifest(o)
	if err := m.collect(o); err != nil {
		return m, nil, err
	}
	avoid, err := readAvoided(ctx, o.Avoid)
	if err != nil {
		return m, nil, err
	}
	s := &scanner{o: o, inputs: m.Inputs, avoid: avoid, owns: func(*block) bool { return true }}
	s.close, err = openInputs(ctx, m.Inputs, o.spillDir())
	if err != nil {
		return m, nil, err
	}
	if err := m.noteTorn(o.Strict); err != nil {
		s.close()
		return m, nil, err
	}
	s.total()
	o.phase("reading data")
	return m, s, nil
}

// noteTorn counts the inputs of which only a part could be unpacked.
func (m *Manifest) noteTorn(strict bool) error {
	for _, in := range m.Inputs {
		if in.torn == nil {
			continue
		}
		text := fmt.Sprintf("unpacked only in part: %v", in.torn)
		m.problem(in.Path, 0, reasonTorn, text)
		if strict {
			return fmt.Errorf("%w: %s: %s", ErrStrict, in.Path, text)
		}
	}
	return nil
}

// header is what every part of this run begins with.
func (s *scanner) header() (partHeader, error) {
	var avoid []string
	if s.avoid != nil {
		avoid = s.avoid.hashes
	}
	sum, err := s.o.fingerprint(avoid)
	return partHeader{Format: partFormat, Version: partVersion, Options: sum, Inputs: partInputs(s.inputs)}, err
}

// fill describes all records, or reads their descriptions from the parts.
func (x *index) fill(ctx context.Context, s *scanner) error {
	if x.o.Parts == "" {
		if err := s.scan(ctx, x.take); err != nil {
			return err
		}
	} else {
		h, err := s.header()
		if err != nil {
			return err
		}
		if err := readParts(ctx, x.o, h, x.take); err != nil {
			return err
		}
	}
	for i, in := range x.m.Inputs {
		if blocks := (in.size + x.o.blockSize() - 1) / x.o.blockSize(); int64(len(x.hashes[i])) != blocks {
			return fmt.Errorf("%w: blocks of %s are missing", ErrParts, in.Path)
		}
	}
	return nil
}

// choose leaves out duplicates and divides what remains.
func (x *index) choose(ctx context.Context) (*division, error) {
	x.m.GroupBy = x.joinRepos()
	x.sortStrata()
	x.dropExact()
	if x.store != nil {
		x.o.phase("comparing records")
		skipped, err := x.dropNear(ctx)
		if err != nil {
			return nil, err
		}
		x.m.Uncompared = skipped
	}
	d := x.divide()
	x.limit(d, x.o.MaxSamples)
	switch len(d.list) {
	case 0:
		return nil, ErrNothing
	case 1:
		return nil, fmt.Errorf("%w: %s in one group", ErrOneGroup, english.Plural(len(d.members(&d.list[0])), "record", ""))
	}
	for _, kind := range x.assign(d, x.o.EvalFrac) {
		x.m.note("all records of kind " + kind + " belong together: they are in " + TrainFile + " only")
	}
	if !slices.ContainsFunc(d.list, func(c component) bool { return c.eval }) {
		return nil, fmt.Errorf("%w: one group of each kind", ErrOneGroup)
	}
	x.noteLargest(d)
	return d, nil
}

// largestShare is the share of the records from which one group is worth a
// note, where there are over manyRecords.
const (
	largestShare = 0.2
	manyRecords  = 100
)

func (x *index) noteLargest(d *division) {
	total, largest := 0, 0
	for i := range d.list {
		n := len(d.members(&d.list[i]))
		total += n
		largest = max(largest, n)
	}
	if float64(largest) > largestShare*float64(total) && total > manyRecords {
		x.m.note(fmt.Sprintf("one group holds %d of %d records: the division is coarse", largest, total))
	}
	if x.m.Uncompared > 0 {
		x.m.note(fmt.Sprintf("%d %s not made", x.m.Uncompared,
			english.PluralWord(int(x.m.Uncompared), "comparison among very many similar records was", "comparisons among very many similar records were")))
	}
}

func newManifest(o Options) *Manifest {
	return &Manifest{
		Format: manifestFormat, Version: 2, Name: o.Name, Seed: o.Seed, EvalFrac: o.EvalFrac, Near: o.Near,
		MaxSamples: o.MaxSamples, Ignored: []Skip{}, Dropped: prep.Tally{}, Problems: []prep.Problem{},
	}
}

// collect finds the inputs and makes sure that the outputs may be written.
func (m *Manifest) collect(o Options) error {
	paths, err := expand(o.Inputs)
	if err != nil {
		return err
	}
	dirs := []string{filepath.Clean(o.OutDir)}
	for _, p := range paths {
		if dir := filepath.Dir(p); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	known, err := loadManifests(dirs)
	if err != nil {
		return err
	}
	outputs := []string{filepath.Join(o.OutDir, TrainFile), filepath.Join(o.OutDir, EvalFile)}
	if m.Inputs, m.Ignored, err = choose(paths, outputs, known); err != nil {
		return err
	}
	if len(m.Inputs) > maxInputs {
		return errors.New("too many data files")
	}
	if !o.Force && !o.Shard.Part() {
		if err := guard(outputs, known); err != nil {
			return err
		}
	}
	return nil
}
