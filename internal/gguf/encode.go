package gguf

import (
	"encoding/binary"
	"fmt"
)

// appendHeader encodes everything before the tensor data. Offsets in tensors
// are relative to the data section.
func appendHeader(b []byte, kvs []KV, tensors []TensorInfo) ([]byte, error) {
	le := binary.LittleEndian
	b = append(b, magic...)
	b = le.AppendUint32(b, 3)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(kvs)))
	seen := make(map[string]bool)
	for _, kv := range kvs {
		if err := checkKey(kv.Key); err != nil {
			return nil, err
		}
		if seen[kv.Key] {
			return nil, fmt.Errorf("metadata key %q appears twice", kv.Key)
		}
		seen[kv.Key] = true
		var err error
		if b, err = appendValue(appendString(b, kv.Key), kv.Value); err != nil {
			return nil, fmt.Errorf("metadata key %q: %w", kv.Key, err)
		}
	}
	for _, t := range tensors {
		b = appendString(b, t.Name)
		b = le.AppendUint32(b, uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = le.AppendUint64(b, uint64(d))
		}
		b = le.AppendUint32(b, uint32(t.Type))
		b = le.AppendUint64(b, uint64(t.Offset))
	}
	return b, nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendValue encodes a metadata value after its type id.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case []uint8:
		return appendArray(b, v)
	case []int8:
		return appendArray(b, v)
	case []uint16:
		return appendArray(b, v)
	case []int16:
		return appendArray(b, v)
	case []uint32:
		return appendArray(b, v)
	case []int32:
		return appendArray(b, v)
	case []uint64:
		return appendArray(b, v)
	case []int64:
		return appendArray(b, v)
	case []float32:
		return appendArray(b, v)
	case []float64:
		return appendArray(b, v)
	case []bool:
		return appendArray(b, v)
	case []string:
		return appendStrings(b, v), nil
	case string:
		b = binary.LittleEndian.AppendUint32(b, uint32(typeString))
		return appendString(b, v), nil
	}
	t, ok := typeOf(v)
	if !ok {
		return nil, fmt.Errorf("GGUF cannot store a %T", v)
	}
	return binary.Append(binary.LittleEndian.AppendUint32(b, uint32(t)), binary.LittleEndian, v)
}

// appendArray encodes a slice of fixed-size values.
func appendArray[T any](b []byte, v []T) ([]byte, error) {
	var zero T
	t, _ := typeOf(zero)
	b = binary.LittleEndian.AppendUint32(b, uint32(typeArray))
	b = binary.LittleEndian.AppendUint32(b, uint32(t))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(v)))
	return binary.Append(b, binary.LittleEndian, v)
}

func appendStrings(b []byte, v []string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(typeArray))
	b = binary.LittleEndian.AppendUint32(b, uint32(typeString))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(v)))
	for _, s := range v {
		b = appendString(b, s)
	}
	return b
}

// typeOf gives the id of a fixed-size value.
func typeOf(v any) (valueType, bool) {
	switch v.(type) {
	case uint8:
		return typeUint8, true
	case int8:
		return typeInt8, true
	case uint16:
		return typeUint16, true
	case int16:
		return typeInt16, true
	case uint32:
		return typeUint32, true
	case int32:
		return typeInt32, true
	case uint64:
		return typeUint64, true
	case int64:
		return typeInt64, true
	case float32:
		return typeFloat32, true
	case float64:
		return typeFloat64, true
	case bool:
		return typeBool, true
	}
	return 0, false
}
