package lora

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// AdapterFile is an open adapter whose values are read one pair at a time, so
// that merging needs memory for one tensor only. The pairs of the embedded
// Adapter have shapes but no values.
type AdapterFile struct {
	Adapter
	file *gguf.File
}

// OpenAdapter opens an adapter file in F32, F16 or BF16 and checks that its
// tensors pair up.
func OpenAdapter(path string) (*AdapterFile, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open adapter: %w", err)
	}
	a := &AdapterFile{Adapter: Adapter{Path: path}, file: f}
	err = a.readMetadata()
	if err == nil {
		err = a.findPairs()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open adapter %s: %w", path, err), f.Close())
	}
	return a, nil
}

// Close unmaps the file. Values that were loaded stay valid.
func (a *AdapterFile) Close() error { return a.file.Close() }

// ReadAdapter reads a whole adapter file in F32, F16 or BF16. Values must be
// finite. Pairs come in file order.
func ReadAdapter(path string) (*Adapter, error) {
	a, err := OpenAdapter(path)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	for i, p := range a.Pairs {
		if a.Pairs[i], err = a.Load(p); err != nil {
			return nil, err
		}
	}
	return &a.Adapter, nil
}

func (a *AdapterFile) readMetadata() error {
	f := a.file
	for _, want := range []struct{ key, value string }{{keyType, "adapter"}, {keyAdapter, "lora"}} {
		if got, _ := f.String(want.key); got != want.value {
			return fmt.Errorf("not a LoRA adapter: %s is %q, want %q", want.key, got, want.value)
		}
	}
	var ok bool
	if a.Arch, ok = f.String(keyArch); !ok {
		return fmt.Errorf("metadata key %s is missing", keyArch)
	}
	if _, ok := f.Get(keyTokens); ok {
		return fmt.Errorf("it is an activated adapter (%s), which works on part of a text only", keyTokens)
	}
	a.Name, _ = f.String(keyName)
	a.Alpha, _ = f.Float(keyAlpha)
	if math.IsNaN(a.Alpha) || math.IsInf(a.Alpha, 0) {
		return fmt.Errorf("%s is %g", keyAlpha, a.Alpha)
	}
	return nil
}

// findPairs goes by the A tensors, and looks for a B without an A.
func (a *AdapterFile) findPairs() error {
	for _, t := range a.file.Tensors() {
		base, isA := strings.CutSuffix(t.Name, suffixA)
		other, isB := strings.CutSuffix(t.Name, suffixB)
		switch {
		case isA:
			p, err := a.pairShape(base)
			if err != nil {
				return err
			}
			a.Pairs = append(a.Pairs, p)
		case isB:
			if _, ok := a.file.Tensor(other + suffixA); !ok {
				return fmt.Errorf("tensor %s has no %s beside it", t.Name, other+suffixA)
			}
		case strings.HasSuffix(t.Name, "_norm.weight"):
			a.Ignored = append(a.Ignored, t.Name)
		default:
			return fmt.Errorf("tensor %s ends in neither %s nor %s", t.Name, suffixA, suffixB)
		}
	}
	return nil
}

// pairShape is the pair of a base tensor without its values. The embedding's
// is stored the other way round, A ne = [r, vocabulary] and B ne = [r,
// n_embd], since it is looked up by rows. It comes back as the pair of the
// linear ne = [n_embd, vocabulary], so that merging needs no special case.
func (a *AdapterFile) pairShape(base string) (Pair, error) {
	at, _ := a.file.Tensor(base + suffixA)
	bt, ok := a.file.Tensor(base + suffixB)
	if !ok {
		return Pair{}, fmt.Errorf("tensor %s has no %s beside it", at.Name, base+suffixB)
	}
	if len(at.Dims) > 2 || len(bt.Dims) > 2 {
		return Pair{}, fmt.Errorf("tensor %s: adapters of stacked experts are not supported", base)
	}
	p := Pair{Base: base, Rank: int(at.Rows()), NIn: at.RowLen(), NOut: bt.Rows()}
	if base == embeddingTensor {
		p = Pair{Base: base, Rank: int(at.RowLen()), NIn: bt.Rows(), NOut: at.Rows()}
	}
	if bt.RowLen() != int64(p.Rank) {
		return Pair{}, fmt.Errorf("tensor %s: A has rank %d and B has rank %d", base, p.Rank, bt.RowLen())
	}
	return p, nil
}

// Load reads the values of one of the file's pairs.
func (a *AdapterFile) Load(p Pair) (Pair, error) {
	at, _ := a.file.Tensor(p.Base + suffixA)
	bt, _ := a.file.Tensor(p.Base + suffixB)
	var err error
	if p.A, err = a.values(at); err != nil {
		return Pair{}, err
	}
	if p.B, err = a.values(bt); err != nil {
		return Pair{}, err
	}
	if p.Base == embeddingTensor {
		p.A, p.B = transpose(p.B, p.Rank), p.A
	}
	return p, nil
}

// transpose turns rows of n values into n rows.
func transpose(v []float32, n int) []float32 {
	rows := len(v) / n
	t := make([]float32, len(v))
	for i := range rows {
		for k := range n {
			t[k*rows+i] = v[i*n+k]
		}
	}
	return t
}

// values converts a tensor to F32 and refuses NaN and infinity.
func (a *AdapterFile) values(t gguf.TensorInfo) ([]float32, error) {
	out := make([]float32, t.Elements())
	if err := widen(t.Type, a.file.Data(t), out); err != nil {
		return nil, fmt.Errorf("read adapter %s: tensor %s: %w", a.Path, t.Name, err)
	}
	for i, x := range out {
		if x-x != 0 { // NaN or infinity
			return nil, fmt.Errorf("read adapter %s: tensor %s: value %d is %g", a.Path, t.Name, i, x)
		}
	}
	return out, a.file.Release(t)
}

// widen converts values of a plain type to F32.
func widen(t gguf.Type, data []byte, out []float32) error {
	le := binary.LittleEndian
	switch t {
	case gguf.F32:
		for i := range out {
			out[i] = math.Float32frombits(le.Uint32(data[4*i:]))
		}
	case gguf.F16:
		for i := range out {
			out[i] = fromF16(le.Uint16(data[2*i:]))
		}
	case gguf.BF16:
		for i := range out {
			out[i] = math.Float32frombits(uint32(le.Uint16(data[2*i:])) << 16)
		}
	default:
		return fmt.Errorf("it is %s; adapters must be F32, F16 or BF16", t)
	}
	return nil
}

// fromF16 widens an IEEE half.
func fromF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero or subnormal: frac · 2^-24
		v := float32(frac) / (1 << 24)
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}
