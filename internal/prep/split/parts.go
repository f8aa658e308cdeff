package split

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/shard"
)

const (
	partFormat = "qlora-split-part"
	maxBlock   = 1 << 30 // bytes of a block's description
)

// partVersion counts the changes to what parts hold of equal records;
// TestPartVersion tells when it must rise.
const partVersion = 2

// partHeader is the first line of a part's file. Blocks follow, each its
// length (uvarint), its bytes and their xxHash-64; a length of 0 is the end.
type partHeader struct {
	Format  string `json:"format"` // "qlora-split-part"
	Version int    `json:"version"`
	shard.Spec
	Options string      `json:"options"` // hash of the settings that shape a description
	Inputs  []partInput `json:"inputs"`
}

type partInput struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// partPath is the file of a part.
func (o Options) partPath(s shard.Spec) string {
	return filepath.Join(o.Parts, fmt.Sprintf("%s.%d-of-%d.part", o.Name, s.Index, s.Count))
}

func partInputs(inputs []*Input) (list []partInput) {
	for _, in := range inputs {
		list = append(list, partInput{in.Path, in.size})
	}
	return list
}

// PartReport is what a shard did.
type PartReport struct {
	Path    string     `json:"part"`
	Shard   string     `json:"shard"`
	Blocks  int        `json:"blocks"`
	Records int        `json:"records"`
	Skipped int        `json:"skipped_lines"`
	Bytes   int64      `json:"bytes"`
	Dropped prep.Tally `json:"dropped"`
}

// owns tells whether a block belongs to the shard: by its place alone.
func owns(s shard.Spec) func(*block) bool {
	return func(b *block) bool { return s.Owns(strconv.Itoa(b.input) + "/" + strconv.FormatInt(b.start, 10)) }
}

// writePart describes the blocks of a shard.
func writePart(ctx context.Context, s *scanner, h partHeader) (*PartReport, error) {
	path := s.o.partPath(h.Spec)
	f, err := prep.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Abort()
	if err := f.WriteJSON(h); err != nil {
		return nil, err
	}
	r := &PartReport{Path: path, Shard: h.Spec.String(), Dropped: prep.Tally{}}
	err = s.scan(ctx, func(b *block) error {
		r.count(b)
		return writeBlock(f, b.encode())
	})
	if err != nil {
		return nil, err
	}
	if err := writeBlock(f, nil); err != nil {
		return nil, err
	}
	r.Bytes = f.Size()
	return r, f.Commit()
}

func (r *PartReport) count(b *block) {
	r.Blocks++
	r.Records += len(b.features)
	r.Skipped += len(b.problems)
	for _, p := range b.problems {
		r.Dropped.Add(p.reason, 1)
	}
	for i := range b.features {
		if reason := b.features[i].reason; reason != "" {
			r.Dropped.Add(reason, 1)
		}
	}
}

func writeBlock(w io.Writer, text []byte) error {
	head := binary.AppendUvarint(nil, uint64(len(text)))
	if len(text) > 0 {
		text = binary.LittleEndian.AppendUint64(text, xxhash.Sum64(text))
	}
	_, err := w.Write(append(head, text...))
	return err
}

// partReader reads one part block by block.
type partReader struct {
	path   string
	file   *os.File
	in     *bufio.Reader
	header partHeader
	head   *block // the next block; nil at the end
}

func openPart(path string) (*partReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open part: %w", err)
	}
	p := &partReader{path: path, file: f, in: bufio.NewReaderSize(f, 1<<20)}
	line, err := p.in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.header)
	}
	if err == nil && (p.header.Format != partFormat || p.header.Version != partVersion) {
		err = errors.New("not a part, or one of another version of qlora")
	}
	if err == nil {
		err = p.advance()
	}
	if err != nil {
		f.Close() // only read
		return nil, fmt.Errorf("%w: %s: %w", ErrParts, path, err)
	}
	return p, nil
}

// advance reads the next block.
func (p *partReader) advance() error {
	size, err := binary.ReadUvarint(p.in)
	if err != nil || size > maxBlock {
		return errCodec
	}
	p.head = nil
	if size == 0 {
		return nil
	}
	buf := make([]byte, size+8)
	if _, err := io.ReadFull(p.in, buf); err != nil {
		return errCodec
	}
	text := buf[:size]
	if xxhash.Sum64(text) != binary.LittleEndian.Uint64(buf[size:]) {
		return errCodec
	}
	p.head, err = decodeBlock(text)
	return err
}

// readParts calls take with the blocks of all parts in the order of the inputs.
func readParts(ctx context.Context, o Options, want partHeader, take func(*block) error) error {
	parts, err := openParts(o, want)
	if err != nil {
		return err
	}
	defer func() {
		for _, p := range parts {
			p.file.Close() // only read
		}
	}()
	for ctx.Err() == nil {
		var next *partReader
		for _, p := range parts {
			if p.head != nil && (next == nil || p.head.before(next.head)) {
				next = p
			}
		}
		if next == nil {
			return nil
		}
		b := next.head
		if b.input >= len(want.Inputs) {
			return fmt.Errorf("%w: %s speaks of another input", ErrParts, next.path)
		}
		if err := take(b); err != nil {
			return err
		}
		o.progress(b.end - b.start)
		if err := next.advance(); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrParts, next.path, err)
		}
	}
	return ctx.Err()
}

func (b *block) before(o *block) bool {
	return b.input < o.input || b.input == o.input && b.start < o.start
}

// openParts opens the parts of one run, all of which must be there.
func openParts(o Options, want partHeader) (parts []*partReader, err error) {
	defer func() {
		if err != nil {
			for _, p := range parts {
				p.file.Close() // only read
			}
		}
	}()
	paths, err := filepath.Glob(filepath.Join(o.Parts, o.Name+".*-of-*.part"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("%w: %s holds no part of %s", ErrParts, o.Parts, o.Name)
	}
	have := map[int]bool{}
	for _, path := range paths {
		p, err := openPart(path)
		if err != nil {
			return parts, err
		}
		parts = append(parts, p)
		if err := p.header.matches(want, parts[0].header.Count); err != nil {
			return parts, fmt.Errorf("%w: %s: %w", ErrParts, path, err)
		}
		have[p.header.Index] = true
	}
	for i := 1; i <= parts[0].header.Count; i++ {
		if !have[i] {
			return parts, fmt.Errorf("%w: part %d of %d is missing in %s", ErrParts, i, parts[0].header.Count, o.Parts)
		}
	}
	return parts, nil
}

// matches tells what makes a part one of another run.
func (h partHeader) matches(want partHeader, count int) error {
	switch {
	case h.Count != count:
		return fmt.Errorf("it is one of %s, others of %d", english.Plural(h.Count, "part", ""), count)
	case h.Options != want.Options:
		return errors.New("it was made with other options")
	case len(h.Inputs) != len(want.Inputs):
		return fmt.Errorf("it was made of %s, not %d", english.Plural(len(h.Inputs), "input", ""), len(want.Inputs))
	}
	for i, in := range h.Inputs {
		if in != want.Inputs[i] {
			return fmt.Errorf("it was made of %s with %d bytes, not %s with %d",
				in.Path, in.Bytes, want.Inputs[i].Path, want.Inputs[i].Bytes)
		}
	}
	return nil
}
