package safetensors

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/qlora/qlora/internal/gguf"
	"github.com/qlora/qlora/internal/lora"
)

// maxHeader bounds the header, as the format's own library does.
const maxHeader = 100_000_000

// File is an open file of tensors.
type File struct {
	Tensors  []Info // by place in the file
	Metadata map[string]string

	path string
	file *os.File
	data int64 // where the bytes begin
}

// Open reads the header and holds it to the file: byte ranges must follow each
// other without gaps, up to the end.
func Open(path string) (*File, error) {
	f := &File{path: path}
	var err error
	if f.file, err = os.Open(path); err != nil {
		return nil, fmt.Errorf("open safetensors: %w", err)
	}
	if err := f.readHeader(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func (f *File) readHeader() error {
	info, err := f.file.Stat()
	if err != nil {
		return err
	}
	var length [8]byte
	if info.Size() < int64(len(length)) {
		return fmt.Errorf("not a safetensors file: it has %d bytes", info.Size())
	}
	if _, err := io.ReadFull(f.file, length[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > info.Size()-8 {
		return fmt.Errorf("not a safetensors file: it says that its header has %d bytes, the file has %d", n, info.Size())
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(f.file, text); err != nil {
		return err
	}
	f.data = 8 + int64(n)
	if err := f.parse(text); err != nil {
		return err
	}
	return f.check(info.Size() - f.data)
}

func (f *File) parse(text []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if metadata, ok := raw[metadataKey]; ok {
		if err := json.Unmarshal(metadata, &f.Metadata); err != nil {
			return fmt.Errorf("header: %s: %w", metadataKey, err)
		}
		delete(raw, metadataKey)
	}
	for name, text := range raw {
		var e entry
		if err := json.Unmarshal(text, &e); err != nil {
			return fmt.Errorf("header: tensor %q: %w", name, err)
		}
		f.Tensors = append(f.Tensors, Info{Name: name, Type: e.Type, Shape: e.Shape, start: e.Offsets[0], end: e.Offsets[1]})
	}
	slices.SortFunc(f.Tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), cmp.Compare(a.Name, b.Name))
	})
	return nil
}

// check holds ranges to shapes and to size, the bytes after the header.
func (f *File) check(size int64) error {
	at := int64(0)
	for _, t := range f.Tensors {
		n, ok := elements(t.Shape)
		switch w := width(t.Type); {
		case !ok:
			return fmt.Errorf("tensor %q: shape %v is out of range", t.Name, t.Shape)
		case t.start != at || t.end < t.start || t.end > size:
			return fmt.Errorf("tensor %q: bytes %d to %d do not follow those before, in a file with %d", t.Name, t.start, t.end, size)
		case w > 0 && t.end-t.start != n*w:
			return fmt.Errorf("tensor %q: %d bytes are not %v of %s", t.Name, t.end-t.start, t.Shape, t.Type)
		}
		at = t.end
	}
	if at != size {
		return fmt.Errorf("%d bytes after the last tensor", size-at)
	}
	return nil
}

// Values reads a tensor of the file and widens it to F32.
func (f *File) Values(t Info) ([]float32, error) {
	kinds := map[string]gguf.Type{F32: gguf.F32, F16: gguf.F16, BF16: gguf.BF16}
	kind, ok := kinds[t.Type]
	if !ok {
		return nil, fmt.Errorf("tensor %q of %s: it is %s, want F32, F16 or BF16", t.Name, f.path, t.Type)
	}
	data := make([]byte, t.end-t.start)
	if _, err := f.file.ReadAt(data, f.data+t.start); err != nil {
		return nil, fmt.Errorf("read tensor %q of %s: %w", t.Name, f.path, err)
	}
	values := make([]float32, int64(len(data))/width(t.Type))
	return values, lora.Widen(kind, data, values)
}
