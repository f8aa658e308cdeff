package gguf

import (
	"math/bits"
	"sort"
)

const (
	magic            = "GGUF"
	defaultAlignment = 32
	alignmentKey     = "general.alignment"

	minKVSize     = 8 + 4 + 1             // key length, value type, one byte
	minTensorSize = 8 + 1 + 4 + 8 + 4 + 8 // name, dimension count, one dimension, type, offset
)

// header is all of one file but the tensor data.
type header struct {
	version   uint32
	alignment int64
	kvs       []KV
	tensors   []TensorInfo
}

// parse reads and checks the header of a file whose whole content is data.
// Tensors come back with absolute offsets.
func parse(path string, data []byte) (*header, error) {
	c := &cursor{path: path, data: data}
	h := &header{}
	tensors, kvs, err := h.readCounts(c)
	if err != nil {
		return nil, err
	}
	if err := h.readKVs(c, kvs); err != nil {
		return nil, err
	}
	if err := h.readAlignment(c); err != nil {
		return nil, err
	}
	if err := h.readTensors(c, tensors); err != nil {
		return nil, err
	}
	return h, h.place(c)
}

func (h *header) readCounts(c *cursor) (tensors, kvs int64, err error) {
	m, err := c.take(4, "magic")
	if err != nil {
		return 0, 0, err
	}
	if string(m) != magic {
		return 0, 0, c.fail(0, "not a GGUF file: it starts with %q, want %q", m, magic)
	}
	if h.version, err = c.uint32("version"); err != nil {
		return 0, 0, err
	}
	switch v := h.version; {
	case v == bits.ReverseBytes32(2) || v == bits.ReverseBytes32(3):
		return 0, 0, c.fail(4, "big-endian GGUF is not supported")
	case v != 2 && v != 3:
		return 0, 0, c.fail(4, "GGUF version %d is not supported, want 2 or 3", v)
	}
	at := c.off
	if tensors, err = c.count(minTensorSize, "number of tensors"); err != nil {
		return 0, 0, err
	}
	if kvs, err = c.count(minKVSize, "number of metadata entries"); err != nil {
		return 0, 0, err
	}
	if tensors > (c.left()-kvs*minKVSize)/minTensorSize {
		return 0, 0, c.fail(at, "%d tensors and %d metadata entries do not fit the %d bytes left", tensors, kvs, c.left())
	}
	return tensors, kvs, nil
}

func (h *header) readKVs(c *cursor, n int64) error {
	seen := make(map[string]bool)
	for range n {
		at := c.off
		key, err := c.string("a metadata key")
		if err != nil {
			return err
		}
		if err := checkKey(key); err != nil {
			return c.fail(at, "%v", err)
		}
		if seen[key] {
			return c.fail(at, "metadata key %q appears twice", clip(key))
		}
		seen[key] = true
		id, err := c.uint32("value type of " + clip(key))
		if err != nil {
			return err
		}
		v, err := c.value(valueType(id), clip(key))
		if err != nil {
			return err
		}
		h.kvs = append(h.kvs, KV{key, v})
	}
	return nil
}

func (h *header) readAlignment(c *cursor) error {
	a, err := alignmentOf(h.kvs)
	if err != "" {
		return c.fail(c.off, "%s", err)
	}
	h.alignment = a
	return nil
}

// alignmentOf finds general.alignment. ggml stores a uint32 and wants a power
// of two. The second result says what is wrong, or nothing.
func alignmentOf(kvs []KV) (int64, string) {
	for _, kv := range kvs {
		if kv.Key != alignmentKey {
			continue
		}
		a, ok := kv.Value.(uint32)
		if !ok || a == 0 || a&(a-1) != 0 {
			return 0, alignmentKey + " is not a uint32 power of two"
		}
		return int64(a), ""
	}
	return defaultAlignment, ""
}

func (h *header) readTensors(c *cursor, n int64) error {
	seen := make(map[string]bool)
	for range n {
		at := c.off
		t, err := readTensor(c)
		if err != nil {
			return err
		}
		if seen[t.Name] {
			return c.fail(at, "tensor %q appears twice", t.Name)
		}
		seen[t.Name] = true
		h.tensors = append(h.tensors, t)
	}
	return nil
}

// readTensor reads one table entry; Offset is still relative to the data
// section.
func readTensor(c *cursor) (t TensorInfo, err error) {
	at := c.off
	if t.Name, err = c.string("a tensor name"); err != nil {
		return t, err
	}
	what := "shape of " + clip(t.Name)
	dims, err := c.uint32(what)
	if err != nil {
		return t, err
	}
	if dims > MaxDims {
		return t, c.fail(at, "tensor %q has %d dimensions, want at most %d", clip(t.Name), dims, MaxDims)
	}
	for range dims {
		d, err := c.uint64(what)
		if err != nil {
			return t, err
		}
		t.Dims = append(t.Dims, int64(d))
	}
	if dims == 0 { // a scalar, to ggml a tensor of one value
		t.Dims = []int64{1}
	}
	id, err := c.uint32("type of " + clip(t.Name))
	if err != nil {
		return t, err
	}
	offset, err := c.uint64("offset of " + clip(t.Name))
	if err != nil {
		return t, err
	}
	t.Type, t.Offset = Type(id), int64(offset)
	if t.Size, err = t.byteSize(); err != nil {
		return t, c.fail(at, "%v", err)
	}
	return t, nil
}

// place turns relative offsets into absolute ones and checks that each tensor
// is aligned, inside the file, and alone on its bytes.
func (h *header) place(c *cursor) error {
	if len(h.tensors) == 0 {
		return nil
	}
	start, fileSize := roundUp(c.off, h.alignment), int64(len(c.data))
	for i := range h.tensors {
		t := &h.tensors[i]
		if t.Offset < 0 || t.Offset%h.alignment != 0 {
			return c.fail(c.off, "tensor %q: data offset %d is not a multiple of the alignment %d", t.Name, uint64(t.Offset), h.alignment)
		}
		if start > fileSize || t.Size > fileSize-start || t.Offset > fileSize-start-t.Size {
			return c.fail(c.off, "truncated: tensor %q has %d bytes at %d of the data section, but the file ends at byte %d",
				t.Name, t.Size, t.Offset, fileSize)
		}
		t.Offset += start
	}
	return h.checkOverlap(c)
}

func (h *header) checkOverlap(c *cursor) error {
	order := make([]*TensorInfo, len(h.tensors))
	for i := range h.tensors {
		order[i] = &h.tensors[i]
	}
	sort.Slice(order, func(i, j int) bool { return order[i].Offset < order[j].Offset })
	for i := 1; i < len(order); i++ {
		if a, b := order[i-1], order[i]; a.Offset+a.Size > b.Offset {
			return c.fail(b.Offset, "the data of tensors %q and %q overlaps", a.Name, b.Name)
		}
	}
	return nil
}

func roundUp(n, multiple int64) int64 { return (n + multiple - 1) / multiple * multiple }
