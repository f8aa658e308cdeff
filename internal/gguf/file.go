package gguf

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// File is an open model: its metadata, and its tensors mapped into memory.
// It is safe for concurrent reading. The bytes that Data returns are valid
// until Close.
type File struct {
	version   uint32
	alignment int64
	kvs       []KV
	tensors   []TensorInfo
	paths     []string
	maps      [][]byte
	keyIndex  map[string]int
	nameIndex map[string]int
}

// Open maps a GGUF file and checks its header. Of a split model it takes the
// first file, NAME-00001-of-0000N.gguf, and opens the others beside it; the
// metadata is the first one's. Errors about content are *FormatError.
func Open(path string) (*File, error) {
	f := &File{keyIndex: make(map[string]int), nameIndex: make(map[string]int)}
	h, err := f.addShard(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	f.version, f.alignment, f.kvs = h.version, h.alignment, h.kvs
	for i, kv := range f.kvs {
		f.keyIndex[kv.Key] = i
	}
	if err := f.openRest(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Describe is a model that is not written yet: metadata and tensors (Name, Dims,
// Type) without files or data, for code that decides by a model's header. It fills in the sizes.
func Describe(kvs []KV, tensors []TensorInfo) *File {
	f := &File{version: 3, paths: []string{"a model that is not written"}, kvs: kvs, tensors: slices.Clone(tensors), keyIndex: make(map[string]int), nameIndex: make(map[string]int)}
	for i, kv := range kvs {
		f.keyIndex[kv.Key] = i
	}
	for i, t := range tensors {
		f.nameIndex[t.Name] = i
		f.tensors[i].Size, _ = t.byteSize() // what is no whole block has none yet
	}
	return f
}

// addShard maps one file and appends its tensors.
func (f *File) addShard(path string) (*header, error) {
	data, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	shard := len(f.maps)
	f.maps, f.paths = append(f.maps, data), append(f.paths, path)
	h, err := parse(path, data)
	if err != nil {
		return nil, fmt.Errorf("read gguf header: %w", err)
	}
	for _, t := range h.tensors {
		if i, ok := f.nameIndex[t.Name]; ok {
			return nil, fmt.Errorf("tensor %q is in both %s and %s", t.Name, f.paths[f.tensors[i].Shard], path)
		}
		t.Shard = shard
		f.nameIndex[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return h, nil
}

// mapFile maps a whole regular file read-only and shared.
func mapFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe is refused, not waited for
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() == 0 {
		return nil, &FormatError{Path: path, What: "the file is empty"}
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return data, nil
}

// Close unmaps the file. Closing twice is harmless.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, unix.Munmap(m))
	}
	f.maps = nil
	return errors.Join(errs...)
}

// Paths are the files that were opened: one, or all of a split model.
func (f *File) Paths() []string { return f.paths }

// Version is the GGUF version of the (first) file.
func (f *File) Version() uint32 { return f.version }

// Alignment of tensor data in bytes.
func (f *File) Alignment() int64 { return f.alignment }

// Tensors lists all tensors in file order, shard after shard.
func (f *File) Tensors() []TensorInfo { return f.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (TensorInfo, bool) {
	i, ok := f.nameIndex[name]
	if !ok {
		return TensorInfo{}, false
	}
	return f.tensors[i], true
}

// Data gives the mapped, read-only bytes of a tensor of this file. Writing to
// them faults. It is nil after Close.
func (f *File) Data(t TensorInfo) []byte {
	if t.Shard >= len(f.maps) {
		return nil
	}
	end := t.Offset + t.Size
	return f.maps[t.Shard][t.Offset:end:end]
}

// Release tells the kernel that the pages of a tensor are not needed for now,
// so that they stop counting as resident memory. The data stays readable.
func (f *File) Release(t TensorInfo) error { return f.ReleasePart(t, 0, t.Size) }

// ReleasePart is Release for size bytes of a tensor from byte offset on.
func (f *File) ReleasePart(t TensorInfo, offset, size int64) error {
	if t.Shard >= len(f.maps) {
		return nil
	}
	page := int64(os.Getpagesize())
	start := (t.Offset + offset) / page * page
	end := min(roundUp(t.Offset+offset+size, page), int64(len(f.maps[t.Shard])))
	if err := unix.Madvise(f.maps[t.Shard][start:end], unix.MADV_DONTNEED); err != nil {
		return fmt.Errorf("release pages of %s: %w", t.Name, err)
	}
	return nil
}
