package llamatest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
)

// tensor is an F32 tensor in ggml's order: dims[0] is contiguous.
type tensor struct {
	name string
	dims []int
	data []float32
}

func (t tensor) bytes() int { return 4 * len(t.data) }

// GGUF value types used here.
const (
	ggufUint32 = 4
	ggufInt32  = 5
	ggufFloat  = 6
	ggufBool   = 7
	ggufString = 8
	ggufArray  = 9

	alignment = 32
)

// file assembles a GGUF file in memory. It is written out here by hand so that
// a fault of the project's own writer cannot hide in fixtures.
type file struct {
	kvs     bytes.Buffer
	count   int
	tensors []tensor
}

func put(b *bytes.Buffer, v any) { _ = binary.Write(b, binary.LittleEndian, v) } // a bytes.Buffer takes everything

func putString(b *bytes.Buffer, s string) {
	put(b, uint64(len(s)))
	b.WriteString(s)
}

// set adds a metadata value: uint32, float32, bool, string, []string or []int32.
func (f *file) set(key string, value any) {
	putString(&f.kvs, key)
	f.count++
	switch v := value.(type) {
	case uint32:
		put(&f.kvs, uint32(ggufUint32))
		put(&f.kvs, v)
	case float32:
		put(&f.kvs, uint32(ggufFloat))
		put(&f.kvs, v)
	case bool:
		put(&f.kvs, uint32(ggufBool))
		put(&f.kvs, v)
	case string:
		put(&f.kvs, uint32(ggufString))
		putString(&f.kvs, v)
	case []string:
		putArrayHead(&f.kvs, ggufString, len(v))
		for _, s := range v {
			putString(&f.kvs, s)
		}
	case []int32:
		putArrayHead(&f.kvs, ggufInt32, len(v))
		put(&f.kvs, v)
	default:
		panic(fmt.Sprintf("llamatest: no GGUF type for %T", value))
	}
}

func putArrayHead(b *bytes.Buffer, elem, n int) {
	put(b, uint32(ggufArray))
	put(b, uint32(elem))
	put(b, uint64(n))
}

// encode returns the bytes of the file: header, metadata, tensor table, data.
func (f *file) encode() []byte {
	var b bytes.Buffer
	b.WriteString("GGUF")
	put(&b, uint32(3))
	put(&b, uint64(len(f.tensors)))
	put(&b, uint64(f.count))
	b.Write(f.kvs.Bytes())
	offset := 0
	for _, t := range f.tensors {
		putString(&b, t.name)
		put(&b, uint32(len(t.dims)))
		for _, d := range t.dims {
			put(&b, uint64(d))
		}
		put(&b, uint32(0))
		put(&b, uint64(offset))
		offset += (t.bytes() + alignment - 1) / alignment * alignment
	}
	for _, t := range f.tensors {
		pad(&b)
		put(&b, t.data)
	}
	pad(&b)
	return b.Bytes()
}

func pad(b *bytes.Buffer) {
	for b.Len()%alignment != 0 {
		b.WriteByte(0)
	}
}

func (f *file) write(t testing.TB, path string) {
	t.Helper()
	if err := os.WriteFile(path, f.encode(), 0o644); err != nil {
		t.Fatalf("write fixture: %v", err)
	}
}
