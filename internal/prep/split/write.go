package split

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/qlora/qlora/internal/prep"
)

// output is one of the two files while it is written.
type output struct {
	file *prep.File
	out  Output
}

func newOutput(dir, name string) (*output, error) {
	f, err := prep.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	return &output{file: f, out: Output{Path: name, Kinds: map[string]int{}}}, nil
}

func (p *output) add(line []byte, kind int) error {
	if _, err := p.file.Write(line); err != nil {
		return err
	}
	if _, err := p.file.Write([]byte{'\n'}); err != nil {
		return err
	}
	p.out.Records++
	p.out.Kinds[kinds[kind].name]++
	return nil
}

func (p *output) finished(groups int) Output {
	p.out.Bytes, p.out.SHA256, p.out.Groups = p.file.Size(), p.file.SHA256(), groups
	return p.out
}

// copier is the second pass: it copies the kept lines to their side.
type copier struct {
	x           *index
	train, eval *output
	id          int // of the next record
	sum         hash.Hash
	buf, line   []byte
}

// copyAll copies the lines of all inputs and fills in the hashes of the inputs.
func (c *copier) copyAll(ctx context.Context) error {
	for i, in := range c.x.m.Inputs {
		c.sum = sha256.New()
		n := 0
		for b := range blocksOf([]*Input{in}, c.x.o.blockSize()) {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			b.input = i
			if err := c.copyBlock(b, c.x.hashes[i][n]); err != nil {
				return fmt.Errorf("data file %s: %w", in.Path, err)
			}
			n++
			c.x.o.progress(b.end - b.start)
		}
		if in.Packed == "" {
			in.SHA256 = hex.EncodeToString(c.sum.Sum(nil))
		}
	}
	return nil
}

// copyBlock reads a block again, makes sure that it is what it was, and copies
// the records that begin in it.
func (c *copier) copyBlock(b *block, want uint64) error {
	if int64(cap(c.buf)) < b.end-b.start {
		c.buf = make([]byte, c.x.o.blockSize())
	}
	c.buf = c.buf[:b.end-b.start]
	f := c.x.m.Inputs[b.input].file
	if _, err := f.ReadAt(c.buf, b.start); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read: %w", err)
	}
	if xxhash.Sum64(c.buf) != want {
		return ErrChanged
	}
	c.sum.Write(c.buf)
	for ; c.id < len(c.x.metas); c.id++ {
		m := &c.x.metas[c.id]
		if m.input() != b.input || m.offset() >= b.end {
			return nil
		}
		if !m.kept() {
			continue
		}
		line, err := c.lineOf(f, m, b)
		if err != nil {
			return err
		}
		side := c.train
		if m.is(flagEval) {
			side = c.eval
		}
		if err := side.add(line, c.x.strata[m.stratum].kind); err != nil {
			return err
		}
	}
	return nil
}

// lineOf is the record m, of the block at hand or read for itself where it
// goes beyond it.
func (c *copier) lineOf(f *os.File, m *meta, b *block) ([]byte, error) {
	from := m.offset() - b.start
	if to := from + int64(m.size); to <= int64(len(c.buf)) {
		return c.buf[from:to], nil
	}
	if cap(c.line) < int(m.size) {
		c.line = make([]byte, m.size)
	}
	c.line = c.line[:m.size]
	if _, err := f.ReadAt(c.line, m.offset()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return c.line, nil
}

// write copies the lines to the side of their groups, looks for leaks, and
// commits the outputs, the manifest last.
func (x *index) write(ctx context.Context, d *division) error {
	train, err := newOutput(x.o.OutDir, TrainFile)
	if err != nil {
		return err
	}
	defer train.file.Abort()
	eval, err := newOutput(x.o.OutDir, EvalFile)
	if err != nil {
		return err
	}
	defer eval.file.Abort()
	x.markEval(d)
	x.dropShowing(d)
	c := &copier{x: x, train: train, eval: eval}
	if err := c.copyAll(ctx); err != nil {
		return err
	}
	trained, evaluated := x.countGroups(d)
	x.m.Outputs = []Output{train.finished(trained), eval.finished(evaluated)}
	if x.store != nil {
		x.o.phase("looking for leaks")
		if x.m.Leak, err = x.leak(ctx); err != nil {
			return err
		}
	}
	manifest, err := x.m.create(x.o)
	if err != nil {
		return err
	}
	defer manifest.Abort()
	for _, f := range []*prep.File{train.file, eval.file, manifest} {
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (m *Manifest) create(o Options) (*prep.File, error) {
	f, err := prep.Create(manifestPath(o.OutDir, o.Name))
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		_, err = f.Write(append(text, '\n'))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write manifest: %w", err), f.Abort())
	}
	return f, nil
}
