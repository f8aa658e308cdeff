package split

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/qlora/qlora/internal/prep"
)

// Options say what to divide and how.
type Options struct {
	Inputs   []string // files or patterns
	Name     string   // label of the manifest
	OutDir   string
	EvalFrac float64 // share of the records to evaluate on, above 0 and below 1
	Seed     uint64
	Force    bool              // replace outputs that this command did not write
	Total    func(int64)       // told the bytes to come; may be nil
	Progress func(bytes int64) // told the bytes that were read; may be nil
}

// Check refuses settings that cannot work.
func (o Options) Check() error {
	switch {
	case len(o.Inputs) == 0:
		return errors.New("no data file given")
	case !nameForm.MatchString(o.Name):
		return fmt.Errorf("name %q: use letters, digits, dots, dashes and underscores", o.Name)
	case o.OutDir == "":
		return errors.New("no output folder given")
	case math.IsNaN(o.EvalFrac) || o.EvalFrac <= 0 || o.EvalFrac >= 1:
		return fmt.Errorf("evaluation share %g: must be above 0 and below 1", o.EvalFrac)
	}
	return nil
}

// Errors of Split that concern the data as a whole.
var (
	ErrNothing  = errors.New("no usable record in the input")
	ErrOneGroup = errors.New("all records belong together, so they cannot be divided")
)

// Split reads the inputs twice, once to find groups and duplicates, once to
// copy the lines, and writes TrainFile, EvalFile and the manifest. Lines are
// copied as they are, in the order of the input.
func Split(ctx context.Context, o Options) (*Manifest, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	m := &Manifest{
		Format: manifestFormat, Version: 1, Name: o.Name, Seed: o.Seed, EvalFrac: o.EvalFrac,
		Ignored: []Skip{}, Dropped: prep.Tally{}, Problems: []prep.Problem{},
	}
	if err := m.collect(o); err != nil {
		return m, err
	}
	x := &index{byKey: map[key]*group{}, content: map[key]bool{}}
	for _, in := range m.Inputs {
		if err := x.scan(ctx, in, m, o.Progress); err != nil {
			return m, err
		}
	}
	switch len(x.groups) {
	case 0:
		return m, ErrNothing
	case 1:
		return m, fmt.Errorf("%w: %d records in one group", ErrOneGroup, x.groups[0].records)
	}
	for _, kind := range assign(x.groups, o.EvalFrac, o.Seed) {
		m.Notes = append(m.Notes, "all records of kind "+kind+" belong together: they are in "+TrainFile+" only")
	}
	if !slices.ContainsFunc(x.groups, func(g *group) bool { return g.eval }) {
		return m, fmt.Errorf("%w: one group of each kind", ErrOneGroup)
	}
	return m, m.write(ctx, o, x)
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
	if !o.Force {
		if err := guard(outputs, known); err != nil {
			return err
		}
	}
	var total int64
	for _, in := range m.Inputs {
		total += in.Bytes
	}
	if o.Total != nil {
		o.Total(2 * total)
	}
	return nil
}

// part is one output while it is written.
type part struct {
	file   *prep.File
	out    Output
	groups map[*group]bool
}

func newPart(dir, name string) (*part, error) {
	f, err := prep.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	return &part{file: f, out: Output{Path: name, Kinds: map[string]int{}}, groups: map[*group]bool{}}, nil
}

func (p *part) add(line []byte, u use) error {
	if _, err := p.file.Write(append(line, '\n')); err != nil {
		return err
	}
	p.out.Records++
	p.out.Kinds[kinds[u.kind].name]++
	p.groups[u.group] = true
	return nil
}

func (p *part) finished() Output {
	p.out.Bytes, p.out.SHA256, p.out.Groups = p.file.Size(), p.file.SHA256(), len(p.groups)
	return p.out
}

// write copies the lines to the side of their groups and commits the outputs,
// the manifest last.
func (m *Manifest) write(ctx context.Context, o Options, x *index) error {
	train, err := newPart(o.OutDir, TrainFile)
	if err != nil {
		return err
	}
	defer train.file.Abort()
	eval, err := newPart(o.OutDir, EvalFile)
	if err != nil {
		return err
	}
	defer eval.file.Abort()
	for i, in := range m.Inputs {
		if err := copyLines(ctx, o, in, x.lines[i], train, eval); err != nil {
			return err
		}
	}
	m.Outputs = []Output{train.finished(), eval.finished()}
	manifest, err := prep.Create(manifestPath(o.OutDir, o.Name))
	if err != nil {
		return err
	}
	defer manifest.Abort()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	if _, err := manifest.Write(append(text, '\n')); err != nil {
		return err
	}
	for _, f := range []*prep.File{train.file, eval.file, manifest} {
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// copyLines is the second pass over one input.
func copyLines(ctx context.Context, o Options, in *Input, lines []use, train, eval *part) error {
	changed := fmt.Errorf("data file %s changed while it was read", in.Path)
	sum, err := eachLine(ctx, in.Path, o.Progress, func(line prep.Line) error {
		if line.Number > len(lines) {
			return changed
		}
		u := lines[line.Number-1]
		switch {
		case u.group == nil:
			return nil
		case u.group.eval:
			return eval.add(trim(line), u)
		default:
			return train.add(trim(line), u)
		}
	})
	if err == nil && sum != in.SHA256 {
		return changed
	}
	return err
}

// trim removes white space and a byte order mark around a record.
func trim(line prep.Line) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(line.Data, []byte("\ufeff")))
}
