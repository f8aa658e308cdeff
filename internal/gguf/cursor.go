package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
)

// FormatError says what is wrong with a file, and where.
type FormatError struct {
	Path   string
	Offset int64 // byte from the start of the file
	What   string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("%s: %s (at byte %d)", e.Path, e.What, e.Offset)
}

// cursor reads little-endian values off the front of a file's bytes. Nothing
// is allocated for a length before that many bytes are known to be there.
type cursor struct {
	path string
	data []byte
	off  int64
}

func (c *cursor) fail(at int64, format string, args ...any) error {
	return &FormatError{Path: c.path, Offset: at, What: fmt.Sprintf(format, args...)}
}

func (c *cursor) left() int64 { return int64(len(c.data)) - c.off }

// take returns the next n bytes without copying them.
func (c *cursor) take(n int64, what string) ([]byte, error) {
	if n > c.left() {
		return nil, c.fail(c.off, "truncated: %s needs %d bytes, %d are left", what, n, c.left())
	}
	b := c.data[c.off : c.off+n]
	c.off += n
	return b, nil
}

func (c *cursor) uint32(what string) (uint32, error) {
	b, err := c.take(4, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) uint64(what string) (uint64, error) {
	b, err := c.take(8, what)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a 64-bit number of things that take at least size bytes each,
// and refuses one that the rest of the file cannot hold.
func (c *cursor) count(size int64, what string) (int64, error) {
	at := c.off
	n, err := c.uint64(what)
	if err != nil {
		return 0, err
	}
	if n > uint64(c.left()/size) {
		return 0, c.fail(at, "%s is %d, more than the %d bytes left can hold", what, n, c.left())
	}
	return int64(n), nil
}

func (c *cursor) string(what string) (string, error) {
	n, err := c.count(1, "length of "+what)
	if err != nil {
		return "", err
	}
	b, err := c.take(n, what)
	return string(b), err
}

// value reads one metadata value, scalar or array.
func (c *cursor) value(t valueType, key string) (any, error) {
	if t == typeArray {
		return c.array(key)
	}
	if t == typeString {
		return c.string("value of " + key)
	}
	size, ok := minSize[t]
	if !ok {
		return nil, c.fail(c.off-4, "key %q has unknown value type %d", clip(key), t)
	}
	at := c.off
	b, err := c.take(size, "value of "+key)
	if err != nil {
		return nil, err
	}
	if t == typeBool && b[0] > 1 {
		return nil, c.fail(at, "key %q: bool is %d, want 0 or 1", clip(key), b[0])
	}
	return scalar(t, b), nil
}

// scalar decodes a fixed-size value; b has minSize[t] bytes.
func scalar(t valueType, b []byte) any {
	le := binary.LittleEndian
	switch t {
	case typeUint8:
		return b[0]
	case typeInt8:
		return int8(b[0])
	case typeBool:
		return b[0] == 1
	case typeUint16:
		return le.Uint16(b)
	case typeInt16:
		return int16(le.Uint16(b))
	case typeUint32:
		return le.Uint32(b)
	case typeInt32:
		return int32(le.Uint32(b))
	case typeFloat32:
		return math.Float32frombits(le.Uint32(b))
	case typeUint64:
		return le.Uint64(b)
	case typeInt64:
		return int64(le.Uint64(b))
	default:
		return math.Float64frombits(le.Uint64(b))
	}
}

// array reads an array value. Arrays of arrays exist on paper only: ggml
// refuses them too.
func (c *cursor) array(key string) (any, error) {
	at := c.off
	id, err := c.uint32("element type of " + key)
	if err != nil {
		return nil, err
	}
	t := valueType(id)
	size, ok := minSize[t]
	if !ok {
		return nil, c.fail(at, "key %q: arrays of value type %d are not supported", clip(key), t)
	}
	n, err := c.count(size, "length of array "+key)
	if err != nil {
		return nil, err
	}
	if t == typeString {
		return c.strings(n, key)
	}
	at = c.off
	b, err := c.take(n*size, "array "+key)
	if err != nil {
		return nil, err
	}
	return c.elements(t, b, n, key, at)
}

// strings reads n strings. They share one copy of the file's bytes: a
// vocabulary has a hundred thousand.
func (c *cursor) strings(n int64, key string) ([]string, error) {
	start, what := c.off, "length of an element of "+key
	for range n {
		size, err := c.count(1, what)
		if err != nil {
			return nil, err
		}
		c.off += size // count has checked that it is there
	}
	text := string(c.data[start:c.off])
	out := make([]string, n)
	at := 0
	for i := range out {
		size := int(binary.LittleEndian.Uint64(c.data[int(start)+at:]))
		out[i] = text[at+8 : at+8+size]
		at += 8 + size
	}
	return out, nil
}

// elements decodes n fixed-size array elements that start at byte at.
func (c *cursor) elements(t valueType, b []byte, n int64, key string, at int64) (any, error) {
	switch t {
	case typeUint8:
		return append(make([]uint8, 0, n), b...), nil
	case typeInt8:
		return decode[int8](b, n)
	case typeBool:
		for i, x := range b {
			if x > 1 {
				return nil, c.fail(at+int64(i), "key %q: bool is %d, want 0 or 1", clip(key), x)
			}
		}
		return decode[bool](b, n)
	case typeUint16:
		return decode[uint16](b, n)
	case typeInt16:
		return decode[int16](b, n)
	case typeUint32:
		return decode[uint32](b, n)
	case typeInt32:
		return decode[int32](b, n)
	case typeFloat32:
		return decode[float32](b, n)
	case typeUint64:
		return decode[uint64](b, n)
	case typeInt64:
		return decode[int64](b, n)
	default:
		return decode[float64](b, n)
	}
}

// decode reads n fixed-size values; b holds exactly that many.
func decode[T any](b []byte, n int64) ([]T, error) {
	out := make([]T, n)
	_, err := binary.Decode(b, binary.LittleEndian, out)
	return out, err
}
