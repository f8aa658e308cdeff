package gguf

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
)

// Writer streams a GGUF file. Tensor data is given in the order of the
// tensors passed to Create. Nothing is at the final path before Commit.
type Writer struct {
	path      string
	tmp       *os.File
	alignment int64
	tensors   []TensorInfo
	next      int   // tensor being written
	written   int64 // bytes of it
	offset    int64 // bytes of the file
	done      bool  // committed or aborted
}

// Create lays out a version 3 file with the given metadata and tensors (Name,
// Dims, Type; the rest is filled in) and writes its header to a temporary
// file beside path. Data is aligned to general.alignment when kvs has it, to
// 32 bytes otherwise. The caller ends with Commit or Abort; deferring Abort is
// right, it does nothing after Commit.
func Create(path string, kvs []KV, tensors []TensorInfo) (*Writer, error) {
	alignment, bad := alignmentOf(kvs)
	if bad != "" {
		return nil, fmt.Errorf("write %s: %s", path, bad)
	}
	w := &Writer{path: path, alignment: alignment}
	if err := w.layOut(tensors); err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	header, err := appendHeader(nil, kvs, w.tensors)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	if w.tmp, err = createTemp(path); err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	if err := w.start(header); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return w, nil
}

// layOut checks the tensors and gives each its offset in the data section.
func (w *Writer) layOut(tensors []TensorInfo) error {
	seen := make(map[string]bool)
	offset := int64(0)
	for _, t := range tensors {
		if seen[t.Name] {
			return fmt.Errorf("tensor %q appears twice", t.Name)
		}
		seen[t.Name] = true
		size, err := t.byteSize()
		if err != nil {
			return err
		}
		t.Shard, t.Offset, t.Size = 0, offset, size
		w.tensors = append(w.tensors, t)
		if offset > math.MaxInt64-size-2*w.alignment {
			return fmt.Errorf("tensor %q: the size of the file overflows", t.Name)
		}
		offset += roundUp(size, w.alignment)
	}
	return nil
}

// createTemp makes a file beside path with the permissions a plain create
// would give.
func createTemp(path string) (*os.File, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	dir, base := filepath.Split(path)
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%d-%d.tmp", base, os.Getpid(), try))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, os.ErrExist) && try < 1000 {
			continue
		}
		return f, err
	}
}

// replaceable refuses what a rename would destroy: a device such as /dev/null,
// a pipe or a folder.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if kind := info.Mode().Type(); kind != 0 && kind != os.ModeSymlink {
		return fmt.Errorf("%s exists and is not a regular file", path)
	}
	return nil
}

// start writes the header and makes the offsets absolute.
func (w *Writer) start(header []byte) error {
	if err := w.put(header); err != nil {
		return err
	}
	if len(w.tensors) == 0 {
		return nil
	}
	if err := w.pad(); err != nil {
		return err
	}
	for i := range w.tensors {
		w.tensors[i].Offset += w.offset
	}
	return nil
}

// Tensors are the tensors with their final offsets and sizes.
func (w *Writer) Tensors() []TensorInfo { return w.tensors }

// Size of the finished file in bytes.
func (w *Writer) Size() int64 {
	if len(w.tensors) == 0 {
		return w.offset
	}
	last := w.tensors[len(w.tensors)-1]
	return last.Offset + roundUp(last.Size, w.alignment)
}

// Write appends to the data of the current tensor and fails when it would
// pass the tensor's end. Call NextTensor when the tensor is complete.
func (w *Writer) Write(p []byte) (int, error) {
	if w.done || w.next >= len(w.tensors) {
		return 0, fmt.Errorf("write %s: there is no tensor left to write", w.path)
	}
	t := w.tensors[w.next]
	if int64(len(p)) > t.Size-w.written {
		return 0, fmt.Errorf("write %s: tensor %s takes %d bytes, %d are too many", w.path, t.Name, t.Size, w.written+int64(len(p)))
	}
	if err := w.put(p); err != nil {
		return 0, err
	}
	w.written += int64(len(p))
	return len(p), nil
}

// NextTensor ends the current tensor: it checks that all its bytes came, and
// pads.
func (w *Writer) NextTensor() error {
	if w.next >= len(w.tensors) {
		return fmt.Errorf("write %s: there is no tensor left to write", w.path)
	}
	if t := w.tensors[w.next]; w.written != t.Size {
		return fmt.Errorf("write %s: tensor %s takes %d bytes, got %d", w.path, t.Name, t.Size, w.written)
	}
	w.next, w.written = w.next+1, 0
	return w.pad()
}

// WriteTensor writes all data of the next tensor, which must be called name.
func (w *Writer) WriteTensor(name string, data []byte) error {
	if err := w.expect(name); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.NextTensor()
}

// WriteTensorFrom is WriteTensor with the data read from r.
func (w *Writer) WriteTensorFrom(name string, r io.Reader) error {
	if err := w.expect(name); err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("write tensor %s: %w", name, err)
	}
	return w.NextTensor()
}

func (w *Writer) expect(name string) error {
	if w.next >= len(w.tensors) {
		return fmt.Errorf("write %s: tensor %s comes after the last one", w.path, name)
	}
	if want := w.tensors[w.next].Name; want != name {
		return fmt.Errorf("write %s: tensor %s is next, got %s", w.path, want, name)
	}
	return nil
}

// Commit checks that every tensor was written, flushes the file to disk and
// renames it to its path. On an error nothing is left at that path but what
// was there before.
func (w *Writer) Commit() error {
	if w.done {
		return fmt.Errorf("write %s: already committed or aborted", w.path)
	}
	if w.next < len(w.tensors) {
		missing := w.tensors[w.next].Name
		return errors.Join(fmt.Errorf("write %s: tensor %s was not written", w.path, missing), w.Abort())
	}
	if err := w.publish(); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", w.path, err), w.Abort())
	}
	w.done = true
	return syncDir(filepath.Dir(w.path))
}

func (w *Writer) publish() error {
	if err := w.tmp.Sync(); err != nil {
		return err
	}
	if err := w.tmp.Close(); err != nil {
		return err
	}
	return os.Rename(w.tmp.Name(), w.path)
}

// Abort removes the temporary file. It does nothing after Commit.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	err := w.tmp.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, os.Remove(w.tmp.Name()))
}

func (w *Writer) put(p []byte) error {
	n, err := w.tmp.Write(p)
	w.offset += int64(n)
	if err != nil {
		return fmt.Errorf("write %s: %w", w.path, err)
	}
	return nil
}

// pad fills up to the alignment with zeros.
func (w *Writer) pad() error {
	var zeros [4096]byte
	for n := roundUp(w.offset, w.alignment) - w.offset; n > 0; {
		k := min(n, int64(len(zeros)))
		if err := w.put(zeros[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// syncDir makes a rename in dir survive a crash.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}
