package gguf

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func floats(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// python.gguf was written by llama.cpp's own Python package
// (testdata/make_fixtures.py).
func TestReadsPythonMetadata(t *testing.T) {
	f := open(t, "testdata/python.gguf")
	want := []KV{
		{"general.architecture", "llama"},
		{"t.uint8", uint8(200)}, {"t.int8", int8(-100)},
		{"t.uint16", uint16(60000)}, {"t.int16", int16(-30000)},
		{"t.uint32", uint32(4000000000)}, {"t.int32", int32(-2000000000)},
		{"t.uint64", uint64(1 << 63)}, {"t.int64", int64(-(1 << 62))},
		{"t.float32", float32(1.5)}, {"t.float64", -2.25},
		{"t.bool", true}, {"t.string", "höhe\nline"},
		{"t.ints", []int32{1, -2, 3}}, {"t.floats", []float32{0.5, -0.25}},
		{"t.strings", []string{"a", "", "abé"}}, {"t.bools", []bool{true, false, true}},
	}
	if !reflect.DeepEqual(f.KVs(), want) {
		t.Errorf("metadata\n got %v\nwant %v", f.KVs(), want)
	}
	if f.Version() != 3 || f.Alignment() != 32 {
		t.Errorf("version %d alignment %d, want 3 and 32", f.Version(), f.Alignment())
	}
}

func TestReadsPythonTensors(t *testing.T) {
	f := open(t, "testdata/python.gguf")
	wants := []struct {
		name string
		dims []int64
		typ  Type
		size int64
	}{
		{"norm", []int64{5}, F32, 20},
		{"wide", []int64{4, 3}, F32, 48},
		{"half", []int64{3, 2}, F16, 12},
		{"packed", []int64{64, 2}, Q4_0, 72},
		{"experts", []int64{4, 3, 2}, F32, 96},
	}
	if len(f.Tensors()) != len(wants) {
		t.Fatalf("got %d tensors, want %d", len(f.Tensors()), len(wants))
	}
	for i, w := range wants {
		got := f.Tensors()[i]
		if got.Name != w.name || !reflect.DeepEqual(got.Dims, w.dims) || got.Type != w.typ || got.Size != w.size {
			t.Errorf("tensor %d is %+v, want %+v", i, got, w)
		}
	}
	wide, _ := f.Tensor("wide")
	data := floats(f.Data(wide))
	for i, x := range data {
		if want := float32(i-100) / 16; x != want {
			t.Fatalf("wide[%d] = %g, want %g", i, x, want)
		}
	}
	if err := f.Release(wide); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(floats(f.Data(wide)), data) {
		t.Error("data changed when its pages were released")
	}
}

func TestReadsPythonSplit(t *testing.T) {
	f := open(t, "testdata/python-split-00001-of-00003.gguf")
	if len(f.Paths()) != 3 || len(f.Tensors()) != 5 {
		t.Fatalf("got %d files and %d tensors, want 3 and 5", len(f.Paths()), len(f.Tensors()))
	}
	for i, ti := range f.Tensors() {
		if ti.Shard != i/2 {
			t.Errorf("%s is in shard %d, want %d", ti.Name, ti.Shard, i/2)
		}
		if got, want := floats(f.Data(ti))[1], float32(1-100)/16+float32(i); got != want {
			t.Errorf("%s[1] = %g, want %g", ti.Name, got, want)
		}
	}
}

func TestGettersConvert(t *testing.T) {
	f := open(t, "testdata/python.gguf")
	if n, ok := f.Uint("t.uint8"); !ok || n != 200 {
		t.Errorf("Uint(t.uint8) = %d, %v", n, ok)
	}
	if _, ok := f.Uint("t.int8"); ok {
		t.Error("Uint took a negative value")
	}
	if _, ok := f.Uint("t.string"); ok {
		t.Error("Uint took a string")
	}
	if x, ok := f.Float("t.float32"); !ok || x != 1.5 {
		t.Errorf("Float(t.float32) = %g, %v", x, ok)
	}
	if b, ok := f.Bool("t.bool"); !ok || !b {
		t.Errorf("Bool(t.bool) = %v, %v", b, ok)
	}
	if s, ok := f.String("t.string"); !ok || s != "höhe\nline" {
		t.Errorf("String(t.string) = %q, %v", s, ok)
	}
	if v, ok := f.Ints("t.ints"); !ok || !reflect.DeepEqual(v, []int64{1, -2, 3}) {
		t.Errorf("Ints(t.ints) = %v, %v", v, ok)
	}
	if v, ok := f.Floats("t.floats"); !ok || !reflect.DeepEqual(v, []float32{0.5, -0.25}) {
		t.Errorf("Floats(t.floats) = %v, %v", v, ok)
	}
	if _, ok := f.Strings("absent"); ok {
		t.Error("Strings found an absent key")
	}
}

func TestSplitErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	cp := func(name, as string) string {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, as)
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return to
	}
	first := cp("python-split-00001-of-00003.gguf", "m-00001-of-00003.gguf")
	second := cp("python-split-00002-of-00003.gguf", "m-00002-of-00003.gguf")
	renamed := cp("python-split-00001-of-00003.gguf", "m.gguf")
	wrongCount := cp("python-split-00001-of-00003.gguf", "x-00001-of-00002.gguf")
	swapped := cp("python-split-00001-of-00003.gguf", "y-00001-of-00003.gguf")
	cp("python-split-00003-of-00003.gguf", "y-00002-of-00003.gguf")
	cp("python-split-00002-of-00003.gguf", "y-00003-of-00003.gguf")
	for path, want := range map[string]string{
		first:      "m-00003-of-00003.gguf",
		second:     "m-00001-of-00003.gguf",
		renamed:    "NAME-00001-of-00003.gguf",
		wrongCount: "its name says 2 files, its split.count says 3",
		swapped:    "split.no is 2, want 1",
	} {
		f, err := Open(path)
		if err == nil {
			t.Errorf("%s opened with %d tensors", path, len(f.Tensors()))
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %q does not say %q", path, err, want)
		}
	}
}

func TestOpenRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.gguf")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "absent.gguf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
	var fe *FormatError
	if _, err := Open(empty); !errors.As(err, &fe) {
		t.Errorf("empty file: %v", err)
	}
}

func TestCloseTwice(t *testing.T) {
	f, err := Open("testdata/python.gguf")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if d := f.Data(f.Tensors()[0]); d != nil {
		t.Error("Data after Close is not nil")
	}
}

func TestDescribe(t *testing.T) {
	f := Describe([]KV{{"a", "x"}, {"b", uint32(7)}}, []TensorInfo{{Name: "t", Dims: []int64{4}, Type: F32}})
	if v, ok := f.Uint("b"); !ok || v != 7 {
		t.Errorf("b is %d, %v", v, ok)
	}
	info, ok := f.Tensor("t")
	if !ok || info.RowLen() != 4 || len(f.Tensors()) != 1 {
		t.Errorf("tensor %+v, %v", info, ok)
	}
	if f.Data(info) != nil || f.Close() != nil {
		t.Error("a description has data")
	}
}
