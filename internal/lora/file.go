package lora

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/qlora/qlora/internal/gguf"
)

// Keys and values that llama.cpp's adapter loader asks for.
const (
	keyType    = "general.type"
	keyArch    = "general.architecture"
	keyName    = "general.name"
	keyAdapter = "adapter.type"
	keyAlpha   = "adapter.lora.alpha"
	keyTokens  = "adapter.alora.invocation_tokens"

	suffixA = ".lora_a"
	suffixB = ".lora_b"

	embeddingTensor = "token_embd.weight"
)

// WriteAdapter writes the F32 adapter file that llama.cpp loads with
// --lora, after checking it against its base. The file appears at path only
// when it is complete.
func WriteAdapter(path string, a *Adapter, base *gguf.File) error {
	if err := a.Check(base); err != nil {
		return fmt.Errorf("write adapter %s: %w", path, err)
	}
	tensors, data, err := a.tensors()
	if err != nil {
		return fmt.Errorf("write adapter %s: %w", path, err)
	}
	w, err := gguf.Create(path, a.metadata(base), tensors)
	if err != nil {
		return fmt.Errorf("write adapter: %w", err)
	}
	defer w.Abort()
	for i, t := range tensors {
		if err := w.WriteTensor(t.Name, encodeF32(data[i])); err != nil {
			return fmt.Errorf("write adapter: %w", err)
		}
	}
	if err := w.Commit(); err != nil {
		return fmt.Errorf("write adapter: %w", err)
	}
	return nil
}

func (a *Adapter) metadata(base *gguf.File) []gguf.KV {
	kvs := []gguf.KV{
		{Key: keyType, Value: "adapter"},
		{Key: keyArch, Value: a.Arch},
		{Key: keyAdapter, Value: "lora"},
		{Key: keyAlpha, Value: float32(a.Alpha)},
		{Key: "general.file_type", Value: uint32(0)}, // all F32
	}
	if a.Name != "" {
		kvs = append(kvs, gguf.KV{Key: keyName, Value: a.Name})
	}
	if name, ok := base.String(keyName); ok {
		kvs = append(kvs, gguf.KV{Key: "general.base_model.count", Value: uint32(1)},
			gguf.KV{Key: "general.base_model.0.name", Value: name})
	}
	return kvs
}

// tensors lists what the file holds, A before B, with the values beside it.
func (a *Adapter) tensors() ([]gguf.TensorInfo, [][]float32, error) {
	var infos []gguf.TensorInfo
	var data [][]float32
	for _, p := range a.Pairs {
		if p.Base == embeddingTensor {
			return nil, nil, fmt.Errorf("%s is not a linear and cannot be adapted", p.Base)
		}
		if p.Rank < 1 || int64(len(p.A)) != p.NIn*int64(p.Rank) || int64(len(p.B)) != p.NOut*int64(p.Rank) {
			return nil, nil, fmt.Errorf("tensor %s: %d and %d values are not rank %d of %d x %d", p.Base, len(p.A), len(p.B), p.Rank, p.NIn, p.NOut)
		}
		infos = append(infos,
			gguf.TensorInfo{Name: p.Base + suffixA, Dims: []int64{p.NIn, int64(p.Rank)}, Type: gguf.F32},
			gguf.TensorInfo{Name: p.Base + suffixB, Dims: []int64{int64(p.Rank), p.NOut}, Type: gguf.F32})
		data = append(data, p.A, p.B)
	}
	return infos, data, nil
}

// ReadAdapter reads an adapter file in F32, F16 or BF16. Values must be
// finite. Pairs come in file order.
func ReadAdapter(path string) (*Adapter, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read adapter: %w", err)
	}
	defer f.Close()
	a := &Adapter{Path: path}
	if err := a.readMetadata(f); err != nil {
		return nil, fmt.Errorf("read adapter %s: %w", path, err)
	}
	if err := a.readPairs(f); err != nil {
		return nil, fmt.Errorf("read adapter %s: %w", path, err)
	}
	return a, nil
}

func (a *Adapter) readMetadata(f *gguf.File) error {
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

// readPairs goes by the A tensors, then looks for a B without an A.
func (a *Adapter) readPairs(f *gguf.File) error {
	for _, t := range f.Tensors() {
		base, isA := strings.CutSuffix(t.Name, suffixA)
		other, isB := strings.CutSuffix(t.Name, suffixB)
		switch {
		case isA:
			p, err := readPair(f, base)
			if err != nil {
				return err
			}
			a.Pairs = append(a.Pairs, p)
		case isB:
			if _, ok := f.Tensor(other + suffixA); !ok {
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

func readPair(f *gguf.File, base string) (Pair, error) {
	at, _ := f.Tensor(base + suffixA)
	bt, ok := f.Tensor(base + suffixB)
	if !ok {
		return Pair{}, fmt.Errorf("tensor %s has no %s beside it", at.Name, base+suffixB)
	}
	if len(at.Dims) > 2 || len(bt.Dims) > 2 {
		return Pair{}, fmt.Errorf("tensor %s: adapters of stacked experts are not supported", base)
	}
	a, err := readValues(f, at)
	if err != nil {
		return Pair{}, err
	}
	b, err := readValues(f, bt)
	if err != nil {
		return Pair{}, err
	}
	if base == embeddingTensor {
		return flipped(at, bt, a, b)
	}
	if at.Rows() != bt.RowLen() {
		return Pair{}, fmt.Errorf("tensor %s: A has rank %d and B has rank %d", base, at.Rows(), bt.RowLen())
	}
	return Pair{Base: base, A: a, B: b, Rank: int(at.Rows()), NIn: at.RowLen(), NOut: bt.Rows()}, nil
}

// flipped reads the pair of the token embedding. It is stored the other way
// round, A ne = [r, vocabulary] and B ne = [r, n_embd], since it is looked up
// by rows. The pair that comes back is that of the linear with ne = [n_embd,
// vocabulary], so that merging needs no special case.
func flipped(at, bt gguf.TensorInfo, a, b []float32) (Pair, error) {
	r, nIn := at.RowLen(), bt.Rows()
	if bt.RowLen() != r {
		return Pair{}, fmt.Errorf("tensor %s: A has rank %d and B has rank %d", embeddingTensor, r, bt.RowLen())
	}
	t := make([]float32, len(b))
	for i := range nIn {
		for k := range r {
			t[k*nIn+i] = b[i*r+k]
		}
	}
	return Pair{Base: embeddingTensor, A: t, B: a, Rank: int(r), NIn: nIn, NOut: at.Rows()}, nil
}

// readValues converts a tensor to F32 and refuses NaN and infinity.
func readValues(f *gguf.File, t gguf.TensorInfo) ([]float32, error) {
	out := make([]float32, t.Elements())
	data := f.Data(t)
	switch t.Type {
	case gguf.F32:
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	case gguf.F16:
		for i := range out {
			out[i] = fromF16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	case gguf.BF16:
		for i := range out {
			out[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
		}
	default:
		return nil, fmt.Errorf("tensor %s is %s; adapters must be F32, F16 or BF16", t.Name, t.Type)
	}
	for i, x := range out {
		if x-x != 0 { // NaN or infinity
			return nil, fmt.Errorf("tensor %s: value %d is %g", t.Name, i, x)
		}
	}
	return out, nil
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

func encodeF32(v []float32) []byte {
	b := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	return b
}
