package gguf

import (
	"fmt"
	"math"
)

// MaxNameLen is the longest tensor name in bytes: ggml keeps names in 64
// bytes, the last of which is zero.
const MaxNameLen = 63

// MaxDims is the largest number of dimensions of a tensor.
const MaxDims = 4

// TensorInfo describes one tensor and where its bytes are.
type TensorInfo struct {
	Name   string
	Dims   []int64 // ggml's ne: Dims[0] is contiguous (the row); 1 to 4 of them
	Type   Type
	Shard  int   // which of File.Paths holds it
	Offset int64 // of the first byte, from the start of that file
	Size   int64 // bytes
}

// Elements is the number of values.
func (t TensorInfo) Elements() int64 {
	n := int64(1)
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// RowLen is the number of values of a row, Dims[0].
func (t TensorInfo) RowLen() int64 { return t.Dims[0] }

// Rows is the number of rows: the product of all dimensions but the first.
func (t TensorInfo) Rows() int64 { return t.Elements() / t.Dims[0] }

// byteSize checks name, shape and type, and gives the bytes the tensor takes.
func (t TensorInfo) byteSize() (int64, error) {
	if t.Name == "" || len(t.Name) > MaxNameLen {
		return 0, fmt.Errorf("tensor name %q has %d bytes, want 1 to %d", clip(t.Name), len(t.Name), MaxNameLen)
	}
	if len(t.Dims) < 1 || len(t.Dims) > MaxDims {
		return 0, fmt.Errorf("tensor %q has %d dimensions, want 1 to %d", t.Name, len(t.Dims), MaxDims)
	}
	n := int64(1)
	for _, d := range t.Dims {
		if d < 1 {
			return 0, fmt.Errorf("tensor %q has a dimension of %d", t.Name, d)
		}
		if n > math.MaxInt64/d {
			return 0, fmt.Errorf("tensor %q: the product of its dimensions %v overflows", t.Name, t.Dims)
		}
		n *= d
	}
	if _, err := t.Type.RowBytes(t.Dims[0]); err != nil {
		return 0, fmt.Errorf("tensor %q: row: %w", t.Name, err)
	}
	size, err := t.Type.RowBytes(n)
	if err != nil {
		return 0, fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	return size, nil
}

// clip shortens text from a file for an error message.
func clip(s string) string {
	const limit = 80
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
