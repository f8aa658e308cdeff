package gguf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func allKinds() []KV {
	return []KV{
		{"general.architecture", "llama"},
		{"a", uint8(1)}, {"b", int8(-1)}, {"c", uint16(2)}, {"d", int16(-2)},
		{"e", uint32(3)}, {"f", int32(-3)}, {"g", uint64(4)}, {"h", int64(-4)},
		{"i", float32(0.5)}, {"j", 0.25}, {"k", true}, {"l", "text"},
		{"m", []uint8{1, 2}}, {"n", []int8{-1}}, {"o", []uint16{3}}, {"p", []int16{-3}},
		{"q", []uint32{5}}, {"r", []int32{-5}}, {"s", []uint64{6}}, {"t", []int64{-6}},
		{"u", []float32{1.5}}, {"v", []float64{2.5}}, {"w", []bool{true, false}},
		{"x", []string{"", "é"}}, {"y", []string{}},
	}
}

func TestWriteThenRead(t *testing.T) {
	for _, align := range []uint32{1, 32, 64, 8192} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		kvs := append(allKinds(), KV{alignmentKey, align})
		tensors := []TensorInfo{
			{Name: "one", Dims: []int64{5}, Type: F32},
			{Name: "two", Dims: []int64{32, 3}, Type: Q8_0},
			{Name: "three", Dims: []int64{2, 3, 4}, Type: F16},
		}
		w, err := Create(path, kvs, tensors)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		data := [][]byte{bytes.Repeat([]byte{1}, 20), bytes.Repeat([]byte{2}, 102), bytes.Repeat([]byte{3}, 48)}
		writeThree(t, w, data)
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Size() != w.Size() {
			t.Errorf("alignment %d: file has %d bytes, Size says %d", align, info.Size(), w.Size())
		}
		f := open(t, path)
		if !reflect.DeepEqual(f.KVs(), kvs) {
			t.Errorf("metadata\n got %v\nwant %v", f.KVs(), kvs)
		}
		if !reflect.DeepEqual(f.Tensors(), w.Tensors()) {
			t.Errorf("tensors\n got %v\nwant %v", f.Tensors(), w.Tensors())
		}
		for i, ti := range f.Tensors() {
			if !bytes.Equal(f.Data(ti), data[i]) || ti.Offset%int64(align) != 0 {
				t.Errorf("alignment %d: %s at %d is not what was written", align, ti.Name, ti.Offset)
			}
		}
		onlyFile(t, path)
	}
}

// writeThree uses the three ways to give data.
func writeThree(t *testing.T, w *Writer, data [][]byte) {
	t.Helper()
	if err := w.WriteTensor("one", data[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteTensorFrom("two", bytes.NewReader(data[1])); err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]byte{data[2][:7], data[2][7:]} {
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.NextTensor(); err != nil {
		t.Fatal(err)
	}
}

func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("left behind: %v", entries)
	}
}

// What Python's package wrote, written again, is the same file byte for byte.
func TestRewritesPythonExactly(t *testing.T) {
	in := "testdata/python.gguf"
	f := open(t, in)
	path := filepath.Join(t.TempDir(), "m.gguf")
	w, err := Create(path, f.KVs(), f.Tensors())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, ti := range f.Tensors() {
		if err := w.WriteTensor(ti.Name, f.Data(ti)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, differs from the %d of %s", len(got), len(want), in)
	}
}

func TestWriterRefuses(t *testing.T) {
	one := []TensorInfo{{Name: "t", Dims: []int64{4}, Type: F32}}
	steps := map[string]struct {
		do   func(w *Writer) error
		want string
	}{
		"wrong name":  {func(w *Writer) error { return w.WriteTensor("u", make([]byte, 16)) }, "tensor t is next, got u"},
		"too short":   {func(w *Writer) error { return w.WriteTensor("t", make([]byte, 15)) }, "takes 16 bytes, got 15"},
		"too long":    {func(w *Writer) error { return w.WriteTensor("t", make([]byte, 17)) }, "17 are too many"},
		"not written": {func(w *Writer) error { return w.Commit() }, "tensor t was not written"},
		"one too many": {func(w *Writer) error {
			if err := w.WriteTensor("t", make([]byte, 16)); err != nil {
				return err
			}
			return w.WriteTensor("t", make([]byte, 16))
		}, "after the last"},
	}
	for name, s := range steps {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			w, err := Create(path, nil, one)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.do(w); err == nil || !strings.Contains(err.Error(), s.want) {
				t.Errorf("got %v, want %q", err, s.want)
			}
			if err := w.Abort(); err != nil {
				t.Error(err)
			}
			if old, err := os.ReadFile(path); err != nil || string(old) != "old" {
				t.Errorf("the old file is %q, %v", old, err)
			}
			onlyFile(t, path)
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]struct {
		kvs     []KV
		tensors []TensorInfo
		want    string
	}{
		"value":     {[]KV{{"k", 5}}, nil, "cannot store a int"},
		"key twice": {[]KV{{"k", true}, {"k", true}}, nil, "appears twice"},
		"alignment": {[]KV{{alignmentKey, uint32(3)}}, nil, "power of two"},
		"row":       {nil, []TensorInfo{{Name: "t", Dims: []int64{100}, Type: Q6_K}}, "block size 256"},
		"name":      {nil, []TensorInfo{{Name: strings.Repeat("n", 64), Dims: []int64{1}}}, "64 bytes"},
		"twice":     {nil, []TensorInfo{{Name: "t", Dims: []int64{1}}, {Name: "t", Dims: []int64{1}}}, "appears twice"},
		"overflow":  {nil, []TensorInfo{{Name: "t", Dims: []int64{1 << 60}}, {Name: "u", Dims: []int64{1 << 60}}}, "overflows"},
	}
	for name, tt := range tests {
		_, err := Create(filepath.Join(dir, "m.gguf"), tt.kvs, tt.tensors)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	if _, err := Create(filepath.Join(dir, "none", "m.gguf"), nil, nil); err == nil || !strings.Contains(err.Error(), "m.gguf") {
		t.Errorf("missing folder: %v", err)
	}
}

// A rename onto /dev/null would take it away from the whole system.
func TestWriterKeepsWhatIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(pipe, nil, nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v, want the pipe refused", err)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("the pipe is %v, %v", info, err)
	}
	onlyFile(t, pipe)
}

// A full disk shows as an error of Write or Commit; the old file stays.
func TestWriterOnFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("this system has no /dev/full: %v", err)
	}
	defer full.Close()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := Create(path, nil, []TensorInfo{{Name: "t", Dims: []int64{4}, Type: F32}})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(int(full.Fd()), int(w.tmp.Fd()), 0); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteTensor("t", make([]byte, 16)); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "m.gguf") {
		t.Errorf("got %v, want that m.gguf does not fit", err)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if old, err := os.ReadFile(path); err != nil || string(old) != "old" {
		t.Errorf("the old file is %q, %v", old, err)
	}
	onlyFile(t, path)
}
