package newmodel

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/gguf"
)

// filler makes the bytes of whole blocks from random numbers.
type filler interface {
	fill(dst []byte, r source)
}

// newFiller is the filler of a tensor.
func newFiller(w weight) (filler, error) {
	switch {
	case w.std == 0:
		return newConstFiller(w.constant), nil
	case w.info.Type.Quantized():
		return newBlockFiller(w.info.Type, w.std)
	}
	return newTableFiller(w.info.Type, w.std)
}

// source is a stream of random numbers, one for each chunk of each tensor, so
// that the bytes do not depend on who makes which.
type source struct{ *rand.PCG }

func newSource(seed uint64, tensor string, chunk int64) source {
	h := fnv.New64a()
	h.Write([]byte(tensor))
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(chunk)))
	return source{rand.NewPCG(seed, h.Sum64())}
}

func (s source) bytes(dst []byte) {
	for ; len(dst) >= 8; dst = dst[8:] {
		binary.LittleEndian.PutUint64(dst, s.Uint64())
	}
	if len(dst) > 0 {
		var last [8]byte
		binary.LittleEndian.PutUint64(last[:], s.Uint64())
		copy(dst, last[:])
	}
}

// constFiller repeats an F32 value.
type constFiller [4]byte

func newConstFiller(v float32) constFiller {
	var f constFiller
	binary.LittleEndian.PutUint32(f[:], math.Float32bits(v))
	return f
}

func (f constFiller) fill(dst []byte, _ source) {
	for ; len(dst) > 0; dst = dst[4:] {
		copy(dst, f[:])
	}
}

// tableBits is the size of the table that normal values are drawn from: five
// indices in a random word of 64 bits, and a table that stays in the nearest cache.
const tableBits = 12

// tableFiller draws values of a plain type from a table of equally likely ones.
type tableFiller struct {
	size  int // bytes of a value, 2 or 4
	table []byte
}

// newTableFiller tabulates the middles of 2^tableBits equal parts of a normal
// distribution, scaled to the standard deviation std.
func newTableFiller(t gguf.Type, std float64) (*tableFiller, error) {
	values, squares := make([]float64, 1<<tableBits), 0.0
	for i := range values {
		values[i] = math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(len(values))-1)
		squares += values[i] * values[i]
	}
	factor := std / math.Sqrt(squares/float64(len(values)))
	rounded := make([]float32, len(values))
	for i, v := range values {
		rounded[i] = float32(v * factor)
	}
	f := &tableFiller{size: int(t.TypeSize()), table: make([]byte, len(values)*int(t.TypeSize()))}
	return f, ggml.Quantize(ggml.Type(t), rounded, len(rounded), nil, f.table)
}

func (f *tableFiller) fill(dst []byte, r source) {
	for len(dst) > 0 {
		word := r.Uint64()
		for range 64 / tableBits {
			at := int(word&(1<<tableBits-1)) * f.size
			dst = dst[copy(dst, f.table[at:at+f.size]):]
			word >>= tableBits
		}
	}
}
