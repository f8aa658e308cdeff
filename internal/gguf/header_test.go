package gguf

import (
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
)

// raw builds headers that the writer would refuse to.
type raw []byte

func (r raw) u32(v uint32) raw { return binary.LittleEndian.AppendUint32(r, v) }
func (r raw) u64(v uint64) raw { return binary.LittleEndian.AppendUint64(r, v) }
func (r raw) str(s string) raw { return append(r.u64(uint64(len(s))), s...) }

func start(tensors, kvs uint64) raw { return raw(magic).u32(3).u64(tensors).u64(kvs) }

func (r raw) kvU32(key string, v uint32) raw { return r.str(key).u32(uint32(typeUint32)).u32(v) }

func (r raw) tensor(name string, typ Type, offset uint64, dims ...uint64) raw {
	r = r.str(name).u32(uint32(len(dims)))
	for _, d := range dims {
		r = r.u64(d)
	}
	return r.u32(uint32(typ)).u64(offset)
}

// data appends n bytes of tensor data after padding to 32.
func (r raw) data(n int) raw {
	for len(r)%32 != 0 {
		r = append(r, 0)
	}
	return append(r, make([]byte, n)...)
}

func TestParseRefuses(t *testing.T) {
	pad := func(r raw) raw { return r.data(4096) }
	tests := map[string]struct {
		file raw
		want string
	}{
		"not gguf":          {raw("GGML0123456789"), "not a GGUF file"},
		"short magic":       {raw("GG"), "truncated: magic"},
		"version 1":         {raw(magic).u32(1).u64(0).u64(0), "version 1 is not supported"},
		"version 4":         {raw(magic).u32(4).u64(0).u64(0), "version 4 is not supported"},
		"big endian":        {raw(magic).u32(3 << 24).u64(0).u64(0), "big-endian"},
		"absurd tensors":    {pad(start(1<<60, 0)), "number of tensors"},
		"absurd kvs":        {pad(start(0, math.MaxUint64)), "number of metadata entries"},
		"both too many":     {start(100, 200).data(4000), "do not fit"},
		"absurd key":        {pad(start(0, 1).u64(1 << 40)), "length of a metadata key"},
		"empty key":         {pad(start(0, 1).kvU32("", 1)), "want 1 to 65535"},
		"duplicate key":     {pad(start(0, 2).kvU32("k", 1).kvU32("k", 1)), `key "k" appears twice`},
		"value type":        {pad(start(0, 1).str("k").u32(13)), "unknown value type 13"},
		"bad bool":          {pad(append(start(0, 1).str("k").u32(uint32(typeBool)), 2)), "bool is 2"},
		"bad bool in array": {pad(append(start(0, 1).str("k").u32(9).u32(7).u64(2), 1, 9)), "bool is 9"},
		"absurd string":     {pad(start(0, 1).str("k").u32(8).u64(1 << 50)), "length of value of k"},
		"absurd array":      {pad(start(0, 1).str("k").u32(9).u32(6).u64(1 << 61)), "length of array k"},
		"array too long":    {start(0, 1).str("k").u32(9).u32(10).u64(9).u64(1), "length of array k"},
		"nested array":      {pad(start(0, 1).str("k").u32(9).u32(9).u64(1)), "arrays of value type 9"},
		"string in array":   {pad(start(0, 1).str("k").u32(9).u32(8).u64(1).u64(1 << 40)), "an element of k"},
		"alignment 0":       {pad(start(0, 1).kvU32(alignmentKey, 0)), "power of two"},
		"alignment 24":      {pad(start(0, 1).kvU32(alignmentKey, 24)), "power of two"},
		"alignment type":    {pad(start(0, 1).str(alignmentKey).u32(10).u64(32)), "power of two"},
		"long name":         {pad(start(1, 0).tensor(strings.Repeat("n", 64), F32, 0, 1)), "64 bytes"},
		"no name":           {pad(start(1, 0).tensor("", F32, 0, 1)), "0 bytes"},
		"five dims":         {pad(start(1, 0).tensor("t", F32, 0, 1, 1, 1, 1, 1)), "5 dimensions"},
		"absurd dims":       {pad(start(1, 0).str("t").u32(math.MaxUint32)), "dimensions"},
		"zero dim":          {pad(start(1, 0).tensor("t", F32, 0, 4, 0)), "dimension of 0"},
		"negative dim":      {pad(start(1, 0).tensor("t", F32, 0, math.MaxUint64)), "dimension of -1"},
		"product overflow":  {pad(start(1, 0).tensor("t", F32, 0, 1<<32, 1<<32)), "overflows"},
		"size overflow":     {pad(start(1, 0).tensor("t", F32, 0, 1<<31, 1<<31)), "overflows"},
		"unknown type":      {pad(start(1, 0).tensor("t", 4, 0, 32)), "unknown tensor type 4"},
		"absurd type":       {pad(start(1, 0).tensor("t", math.MaxUint32, 0, 32)), "unknown tensor type"},
		"odd row":           {pad(start(1, 0).tensor("t", Q4_0, 0, 33, 32)), "block size 32"},
		"duplicate tensor":  {pad(start(2, 0).tensor("t", F32, 0, 1).tensor("t", F32, 32, 1)), `"t" appears twice`},
		"misaligned":        {pad(start(1, 0).tensor("t", F32, 4, 1)), "alignment"},
		"negative offset":   {pad(start(1, 0).tensor("t", F32, math.MaxUint64-31, 1)), "alignment 32"},
		"offset past end":   {pad(start(1, 0).tensor("t", F32, 1<<40, 1)), "truncated: tensor \"t\""},
		"offset overflow":   {pad(start(1, 0).tensor("t", F32, math.MaxInt64-31, 64)), "truncated"},
		"data past end":     {start(1, 0).tensor("t", F32, 0, 64).data(255), "truncated: tensor \"t\""},
		"no data section":   {start(1, 0).tensor("t", F32, 0, 64), "truncated: tensor \"t\""},
		"overlap":           {pad(start(2, 0).tensor("a", F32, 0, 9).tensor("b", F32, 32, 1)), `"a" and "b" overlaps`},
		"same place":        {pad(start(2, 0).tensor("a", F32, 0, 1).tensor("b", F32, 0, 1)), "overlaps"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parse("bad.gguf", tt.file)
			var fe *FormatError
			if !errors.As(err, &fe) || fe.Path != "bad.gguf" {
				t.Fatalf("got %v, want a FormatError that names the file", err)
			}
			if !strings.Contains(fe.What, tt.want) {
				t.Errorf("error %q does not say %q", fe.What, tt.want)
			}
			if fe.Offset < 0 || fe.Offset > int64(len(tt.file)) {
				t.Errorf("offset %d is outside the %d bytes", fe.Offset, len(tt.file))
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	tests := map[string]raw{
		"nothing in it":      start(0, 0),
		"version 2":          raw(magic).u32(2).u64(0).u64(0),
		"scalar tensor":      start(1, 0).tensor("t", F32, 0).data(4),
		"exact end":          start(1, 0).tensor("t", F32, 0, 64).data(256),
		"tensors unordered":  start(2, 0).tensor("a", F32, 32, 8).tensor("b", F32, 0, 8).data(64),
		"alignment of 64":    start(1, 1).kvU32(alignmentKey, 64).tensor("t", F32, 64, 1).data(256),
		"metadata, no data":  start(0, 1).kvU32("k", 1),
		"empty string array": start(0, 1).str("k").u32(9).u32(8).u64(0),
	}
	for name, file := range tests {
		if _, err := parse("good.gguf", file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every prefix of a good file is refused or (when only padding is cut) read;
// none crashes.
func TestParsePrefixes(t *testing.T) {
	file := start(2, 2).kvU32("a", 1).str("b").u32(9).u32(8).u64(2).str("x").str("yy").
		tensor("t", F32, 0, 8).tensor("u", Q4_0, 32, 32, 2).data(32 + 36)
	if _, err := parse("whole.gguf", file); err != nil {
		t.Fatal(err)
	}
	for n := range file {
		if _, err := parse("cut.gguf", file[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(file))
		}
	}
}

func TestParseAllocatesLittle(t *testing.T) {
	file := start(1<<50, 1<<50).data(1 << 12)
	strings := start(0, 1).str("k").u32(9).u32(8).u64(500).data(1 << 12)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		_, _ = parse("a", file)
		_, _ = parse("b", strings)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 200; got > 1<<16 {
		t.Errorf("a refused file of 4 KiB allocates %d bytes", got)
	}
}
