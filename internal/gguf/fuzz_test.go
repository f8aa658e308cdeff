package gguf

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// FuzzParse: a header is refused with an error or describes tensors inside the
// file, and what was read survives being written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(start(0, 0)))
	f.Add([]byte(start(1, 1).kvU32(alignmentKey, 64).tensor("t", Q4_0, 64, 32, 2).data(256)))
	f.Add([]byte(start(0, 1).str("k").u32(9).u32(8).u64(2).str("x").str("yy")))
	if python, err := os.ReadFile("testdata/python.gguf"); err == nil {
		f.Add(python)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parse("fuzz.gguf", data)
		if err != nil {
			return
		}
		for _, ti := range h.tensors {
			if ti.Offset < 0 || ti.Size < 0 || ti.Offset+ti.Size > int64(len(data)) {
				t.Fatalf("tensor %+v is outside %d bytes", ti, len(data))
			}
		}
		if h.alignment > 1<<16 {
			return // padding would fill the disk
		}
		again := rewrite(t, h, data)
		if !equalKVs(again.kvs, h.kvs) || len(again.tensors) != len(h.tensors) {
			t.Fatalf("read again:\n got %v\nwant %v", again.kvs, h.kvs)
		}
	})
}

func rewrite(t *testing.T, h *header, data []byte) *header {
	path := filepath.Join(t.TempDir(), "m.gguf")
	w, err := Create(path, h.kvs, h.tensors)
	if err != nil {
		t.Fatal(err)
	}
	for _, ti := range h.tensors {
		if err := w.WriteTensor(ti.Name, data[ti.Offset:ti.Offset+ti.Size]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parse(path, written)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// equalKVs compares encodings, under which NaN equals itself.
func equalKVs(a, b []KV) bool {
	x, err := appendHeader(nil, a, nil)
	if err != nil {
		return false
	}
	y, err := appendHeader(nil, b, nil)
	return err == nil && reflect.DeepEqual(x, y)
}
