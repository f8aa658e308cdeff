package split

import (
	"encoding/binary"
	"errors"
	"math"
)

// problem is a line of a block that could not be used.
type problem struct {
	line   int // in the block, from 1
	reason string
	text   string
}

// block is a piece of an input: the lines that begin in it.
type block struct {
	input      int   // number of the input
	start, end int64 // bytes of the input
	hash       uint64
	lines      int
	features   []feature
	problems   []problem
}

// encoder appends values: numbers as varints, texts with their length.
type encoder struct{ buf []byte }

func (e *encoder) uint(v uint64)  { e.buf = binary.AppendUvarint(e.buf, v) }
func (e *encoder) fixed(v uint64) { e.buf = binary.LittleEndian.AppendUint64(e.buf, v) }
func (e *encoder) text(s string)  { e.uint(uint64(len(s))); e.buf = append(e.buf, s...) }
func (e *encoder) list(keys []uint64) {
	e.uint(uint64(len(keys)))
	for _, k := range keys {
		e.fixed(k)
	}
}

// encode is the form of a block in a part's file.
func (b *block) encode() []byte {
	var e encoder
	for _, v := range []uint64{uint64(b.input), uint64(b.start), uint64(b.end), uint64(b.lines)} {
		e.uint(v)
	}
	e.fixed(b.hash)
	e.uint(uint64(len(b.problems)))
	for _, p := range b.problems {
		e.uint(uint64(p.line))
		e.text(p.reason)
		e.text(p.text)
	}
	e.uint(uint64(len(b.features)))
	for i := range b.features {
		e.feature(&b.features[i])
	}
	return e.buf
}

func (e *encoder) feature(f *feature) {
	e.text(f.reason)
	e.uint(uint64(f.kind))
	if f.reason != "" {
		return
	}
	e.uint(uint64(f.offset))
	e.uint(uint64(f.size))
	e.uint(uint64(f.chars))
	e.fixed(f.content.hi)
	e.fixed(f.content.lo)
	e.list(f.units)
	e.list(f.links)
	e.list(f.shown)
	e.fixed(f.repo)
	e.uint(flag(f.related, 1) | flag(f.signed, 2))
	if !f.signed {
		return
	}
	for _, h := range f.sig.bands {
		e.fixed(h)
	}
	for _, s := range f.sig.slots {
		e.buf = binary.LittleEndian.AppendUint16(e.buf, s)
	}
}

func flag(set bool, bit uint64) uint64 {
	if set {
		return bit
	}
	return 0
}

var errCodec = errors.New("a block of the part is damaged")

// decoder reads what encoder wrote. After the first fault all values are 0.
type decoder struct {
	buf  []byte
	fail bool
}

// uint reads a number of at most limit.
func (d *decoder) uint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.buf)
	if n <= 0 || v > limit {
		d.fail, d.buf = true, nil
		return 0
	}
	d.buf = d.buf[n:]
	return v
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.buf) {
		d.fail, d.buf = true, nil
		return make([]byte, min(n, 8))
	}
	out := d.buf[:n]
	d.buf = d.buf[n:]
	return out
}

func (d *decoder) fixed() uint64 { return binary.LittleEndian.Uint64(d.bytes(8)) }

// count reads the length of a list whose items take at least size bytes.
func (d *decoder) count(size int) int { return int(d.uint(uint64(len(d.buf) / size))) }

func (d *decoder) text() string { return string(d.bytes(d.count(1))) }

func (d *decoder) list() []uint64 {
	var keys []uint64
	for range d.count(8) {
		keys = append(keys, d.fixed())
	}
	return keys
}

// decodeBlock reads the form that encode gives.
func decodeBlock(buf []byte) (*block, error) {
	d := &decoder{buf: buf}
	b := &block{
		input: int(d.uint(maxInputs)), start: int64(d.uint(maxOffset)), end: int64(d.uint(maxOffset)),
		lines: int(d.uint(math.MaxInt32)), hash: d.fixed(),
	}
	for range d.count(3) {
		b.problems = append(b.problems, problem{line: int(d.uint(math.MaxInt32)), reason: d.text(), text: d.text()})
	}
	for range d.count(2) {
		b.features = append(b.features, d.feature())
	}
	if d.fail || len(d.buf) > 0 || b.end < b.start {
		return nil, errCodec
	}
	return b, nil
}

func (d *decoder) feature() (f feature) {
	f.reason = d.text()
	f.kind = int(d.uint(uint64(len(kinds) - 1)))
	if f.reason != "" {
		return f
	}
	f.offset, f.size, f.chars = int64(d.uint(maxOffset)), int64(d.uint(math.MaxUint32)), int(d.uint(math.MaxUint32))
	f.content = key{d.fixed(), d.fixed()}
	f.units, f.links, f.shown, f.repo = d.list(), d.list(), d.list(), d.fixed()
	flags := d.uint(3)
	f.related, f.signed = flags&1 != 0, flags&2 != 0
	if !f.signed {
		return f
	}
	for i := range f.sig.bands {
		f.sig.bands[i] = d.fixed()
	}
	slots := d.bytes(slotBytes)
	for i := range f.sig.slots {
		if !d.fail {
			f.sig.slots[i] = binary.LittleEndian.Uint16(slots[2*i:])
		}
	}
	return f
}
