package gguf

import (
	"fmt"
	"math"
)

// KV is one metadata entry. Value is a bool, string, float32, float64, a
// sized integer (int8 to int64, uint8 to uint64), or a slice of one of these:
// exactly the types GGUF can store, so that copying keeps a file's bytes.
type KV struct {
	Key   string
	Value any
}

// valueType is a GGUF metadata type id.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
)

// minSize is the fewest bytes that a value of the type takes in a file.
var minSize = map[valueType]int64{
	typeUint8: 1, typeInt8: 1, typeBool: 1, typeUint16: 2, typeInt16: 2,
	typeUint32: 4, typeInt32: 4, typeFloat32: 4, typeUint64: 8, typeInt64: 8,
	typeFloat64: 8, typeString: 8,
}

// toUint converts any integer that is not negative.
func toUint(v any) (uint64, bool) {
	switch v := v.(type) {
	case uint8:
		return uint64(v), true
	case uint16:
		return uint64(v), true
	case uint32:
		return uint64(v), true
	case uint64:
		return v, true
	}
	if n, ok := toInt(v); ok && n >= 0 {
		return uint64(n), true
	}
	return 0, false
}

// toInt converts any integer that fits an int64.
func toInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int8:
		return int64(v), true
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	}
	return 0, false
}

// toInts widens a slice of any integer type.
func toInts(v any) ([]int64, bool) {
	switch v := v.(type) {
	case []uint8:
		return widen(v), true
	case []int8:
		return widen(v), true
	case []uint16:
		return widen(v), true
	case []int16:
		return widen(v), true
	case []uint32:
		return widen(v), true
	case []int32:
		return widen(v), true
	case []int64:
		return widen(v), true
	case []uint64:
		return widenUint64(v)
	}
	return nil, false
}

func widen[T uint8 | int8 | uint16 | int16 | uint32 | int32 | int64](v []T) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(x)
	}
	return out
}

func widenUint64(v []uint64) ([]int64, bool) {
	out := make([]int64, len(v))
	for i, x := range v {
		if x > math.MaxInt64 {
			return nil, false
		}
		out[i] = int64(x)
	}
	return out, true
}

// Length is the number of elements of a slice value, and -1 for a scalar.
func (kv KV) Length() int {
	switch v := kv.Value.(type) {
	case []uint8:
		return len(v)
	case []int8:
		return len(v)
	case []uint16:
		return len(v)
	case []int16:
		return len(v)
	case []uint32:
		return len(v)
	case []int32:
		return len(v)
	case []uint64:
		return len(v)
	case []int64:
		return len(v)
	case []float32:
		return len(v)
	case []float64:
		return len(v)
	case []bool:
		return len(v)
	case []string:
		return len(v)
	}
	return -1
}

// checkKey refuses what the format does not allow as a metadata key.
func checkKey(key string) error {
	if key == "" || len(key) > math.MaxUint16 {
		return fmt.Errorf("metadata key %q has %d bytes, want 1 to %d", clip(key), len(key), math.MaxUint16)
	}
	return nil
}
