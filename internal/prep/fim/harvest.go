package fim

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/prep"
	"github.com/qlora/qlora/internal/prep/fim/syntax"
)

// yield is what a file gave.
type yield struct {
	*file
	text    []byte
	records []json.RawMessage
	kinds   prep.Tally
	levels  prep.Tally
	middle  int64

	unparsed, noGrammar            bool
	noContext, unshown, overBudget int
}

// harvest makes the records of one file. Books is nil when no record shows
// other files.
func harvest(ctx context.Context, f *file, books *library, o Options) *yield {
	y := &yield{file: f, kinds: prep.Tally{}, levels: prep.Tally{}}
	if f.reason != "" || f.err != nil {
		return y
	}
	if y.text, f.err = f.load(ctx, o); f.err != nil {
		return y
	}
	var err error
	if o.Format == FormatText && o.Family == "" {
		err = y.pieces(o)
	} else {
		err = y.spans(ctx, books, o)
	}
	if err != nil {
		f.err = err
	} else if len(y.records) == 0 && f.reason == "" {
		f.reason = reasonNoSpan
		if y.overBudget > 0 {
			f.reason = reasonOverBudget
		}
	}
	return y
}

// pieces are the whole file, in parts that fit.
func (y *yield) pieces(o Options) error {
	b, err := newBudget(y.text, o)
	if err != nil {
		return err
	}
	e := newEncoder(y.file, y.text)
	for _, c := range chunks(y.text, b.bytes) {
		y.records = append(y.records, e.piece(c[0], c[1]))
	}
	return nil
}

// spans draws spans in number as the square root of the lines, so that long
// files do not drown the rest.
func (y *yield) spans(ctx context.Context, books *library, o Options) error {
	b, err := newBudget(y.text, o)
	if err != nil {
		return err
	}
	rng := stream(o.Seed, y.lang, y.hash)
	p := newPicker(y.text, y.lang, rng, b.middle, o.Shares)
	if o.Shares.Syntax > 0 {
		y.parse(p)
	}
	picked := p.pick(min(o.PerFile, int(math.Ceil(math.Sqrt(float64(len(p.lines)-1))))))
	if p.tree != nil {
		p.tree.Close()
	}
	e := newEncoder(y.file, y.text)
	for _, s := range picked {
		level := LevelFile
		if rng.Float64() < o.Levels.repo() {
			level = LevelRepo
		}
		if err := y.record(ctx, books, b, e, s, level); err != nil {
			return err
		}
	}
	return nil
}

func (y *yield) parse(p *picker) {
	tree, err := syntax.Parse(y.lang, y.text)
	switch {
	case errors.Is(err, syntax.ErrNoGrammar):
		y.noGrammar = true
	case err != nil:
		y.unparsed = true
	default:
		p.tree = tree
	}
}

// record makes the record of one span. At the repository level up to half of
// the room is for other files.
func (y *yield) record(ctx context.Context, books *library, b *budget, e *encoder, s span, level string) error {
	var files []dataset.ContextFile
	if level == LevelRepo {
		var err error
		if files, err = books.around(ctx, y.file, y.text[s.start:s.end], b.bytes/2); err != nil {
			return err
		}
		if len(files) == 0 {
			y.noContext++
			level = LevelFile
		}
	}
	w, fits, err := b.fit(y.text, s, files)
	if err == nil && !fits && len(files) > 0 { // what fits must depend on the file alone: its copies lie elsewhere
		y.noContext++
		level = LevelFile
		w, fits, err = b.fit(y.text, s, nil)
	}
	if err != nil {
		return err
	}
	if !fits {
		y.overBudget++
		return nil
	}
	raw, err := y.encode(e, s, w, level, b.Options)
	if err != nil {
		return err
	}
	y.records = append(y.records, raw)
	y.kinds.Add(s.kind, 1)
	y.levels.Add(level, 1)
	y.middle += int64(s.end - s.start)
	return nil
}

func (y *yield) encode(e *encoder, s span, w fitted, level string, o Options) (json.RawMessage, error) {
	if o.Family == "" {
		return e.fim(s, w.from, w.to, level, w.files), nil
	}
	text, shown, err := dataset.RenderFIM(o.Family, dataset.FIMSample{
		Prefix: string(y.text[w.from:s.start]), Middle: string(y.text[s.start:s.end]), Suffix: string(y.text[s.end:w.to]),
		Repo: y.repo.Repo, Path: y.path, Context: w.files,
	})
	if !shown {
		y.unshown++
	}
	return e.spelled(text, s, w.from, level), err
}

// stream is the random stream of one file's content.
func stream(seed uint64, lang, hash string) *rand.Rand {
	var key []byte
	key = binary.LittleEndian.AppendUint64(key, seed)
	key = append(append(append(key, lang...), 0), hash...)
	sum := sha256.Sum256(key)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
}
