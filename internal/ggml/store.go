package ggml

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Store is a set of tensors declared first and allocated together in one backend buffer.
type Store struct {
	ctx     C.ggml_context_t
	buffers []C.ggml_backend_buffer_t
	left    int
	bytes   int64
	wanted  int64    // bytes declared
	backend *Backend // where Alloc put the tensors
	err     error
}

// alignment of tensors in a CUDA buffer; on the CPU it is smaller, which does not matter.
const alignment = 128

// Declared is the memory that Alloc will take, in bytes.
func (s *Store) Declared() int64 { return s.wanted }

// Err is the first error of the declarations.
func (s *Store) Err() error { return s.err }

// NewStore makes room for at most n tensors, views included.
func NewStore(n int) (*Store, error) {
	params := C.struct_ggml_init_params{mem_size: C.size_t(n+1) * C.ggml_tensor_overhead(), no_alloc: true}
	ctx := C.ggml_init(params)
	if ctx == nil {
		return nil, fmt.Errorf("make a store of %d tensors: %w", n, ErrNoMemory)
	}
	return &Store{ctx: ctx, left: n}, nil
}

// New declares a tensor of up to four dimensions, ne[0] contiguous.
func (s *Store) New(name string, t Type, ne ...int64) *Tensor {
	if s.err != nil {
		return nil
	}
	if s.left == 0 || !t.known() || len(ne) == 0 || len(ne) > 4 || ne[0]%t.BlockSize() != 0 {
		s.err = fmt.Errorf("declare tensor %s %s %v: no room or no such shape", name, t, ne)
		return nil
	}
	for _, n := range ne {
		if n < 1 {
			s.err = fmt.Errorf("declare tensor %s %s %v: empty dimension", name, t, ne)
			return nil
		}
	}
	s.left--
	ptr := C.ggml_new_tensor(s.ctx, C.int32_t(t), C.int(len(ne)), (*C.int64_t)(&ne[0]))
	s.wanted += (int64(C.ggml_nbytes(ptr)) + alignment - 1) / alignment * alignment
	return s.named(ptr, name)
}

func (s *Store) named(ptr *C.struct_ggml_tensor, name string) *Tensor {
	c := C.CString(name)
	C.ggml_set_name(ptr, c)
	C.free(unsafe.Pointer(c))
	return &Tensor{ptr: ptr, store: s}
}

// View declares a matrix [d, n] inside t, starting offset elements in. t must be of a type without blocks.
func (s *Store) View(t *Tensor, name string, offset, d, n int64) *Tensor {
	if s.err != nil {
		return nil
	}
	if t == nil || s.left == 0 || t.Type().BlockSize() != 1 || offset < 0 || offset+d*n > t.Elements() {
		s.err = fmt.Errorf("view %s: [%d, %d] at %d does not lie inside %s", name, d, n, offset, t)
		return nil
	}
	s.left--
	size := t.Type().RowBytes(1)
	row := C.size_t(size * d)
	ptr := C.ggml_view_4d(s.ctx, t.ptr, C.int64_t(d), C.int64_t(n), 1, 1, row, row*C.size_t(n), row*C.size_t(n), C.size_t(size*offset))
	if t.ptr.buffer != nil {
		C.ggml_backend_view_init(ptr)
	}
	return s.named(ptr, name)
}

// Columns declares a view of columns [from, from+d) of the matrix t.
func (s *Store) Columns(t *Tensor, name string, from, d int64) *Tensor {
	return s.strided(t, name, from, [3]int64{d, t.Ne(1), 1}, [2]int64{int64(t.ptr.nb[1]), int64(t.ptr.nb[1]) * t.Ne(1)})
}

// Heads declares a view of columns [from, from+d*heads) of the matrix t as [d, heads, n].
func (s *Store) Heads(t *Tensor, name string, from, d, heads int64) *Tensor {
	return s.strided(t, name, from, [3]int64{d, heads, t.Ne(1)}, [2]int64{t.Type().RowBytes(d), int64(t.ptr.nb[1])})
}

// strided declares a view of dimensions ne whose rows and matrices lie nb bytes apart, inside the columns of t.
func (s *Store) strided(t *Tensor, name string, from int64, ne [3]int64, nb [2]int64) *Tensor {
	if s.err != nil {
		return nil
	}
	width := ne[0]
	if ne[2] > 1 {
		width *= ne[1]
	}
	if s.left == 0 || t.Type().BlockSize() != 1 || from < 0 || from+width > t.Ne(0) {
		s.err = fmt.Errorf("view %s: %d columns from %d do not lie inside %s, or no room", name, width, from, t)
		return nil
	}
	s.left--
	ptr := C.ggml_view_4d(s.ctx, t.ptr, C.int64_t(ne[0]), C.int64_t(ne[1]), C.int64_t(ne[2]), 1, C.size_t(nb[0]), C.size_t(nb[1]),
		C.size_t(nb[1]*ne[2]), C.size_t(t.Type().RowBytes(from)))
	if t.ptr.buffer != nil || t.ptr.view_src != nil && t.ptr.view_src.buffer != nil {
		C.ggml_backend_view_init(ptr)
	}
	return s.named(ptr, name)
}

// Narrow declares a view of the matrix t [d, n] that packs d values of a smaller type at the start of each row.
func (s *Store) Narrow(t *Tensor, name string, typ Type) *Tensor {
	out := s.View(t, name, 0, t.Ne(0), t.Ne(1))
	if s.err != nil || typ == t.Type() {
		return out
	}
	if typ.RowBytes(1) > t.Type().RowBytes(1) {
		s.err = fmt.Errorf("view %s as %s: rows are too short", t, typ)
		return nil
	}
	C.qlora_retype(out.ptr, C.int32_t(typ), C.int64_t(t.Ne(0)), C.int64_t(t.Ne(1)), t.ptr.nb[1])
	return out
}

// Map declares a tensor over memory that somebody else owns and keeps alive, such as a mapped file; the address must be a
// multiple of 32.
func (s *Store) Map(name string, t Type, data []byte, ne ...int64) (*Tensor, error) {
	out := s.New(name, t, ne...)
	if s.err != nil {
		return nil, s.err
	}
	if int64(len(data)) < out.Bytes() || !Aligned(data) {
		return nil, fmt.Errorf("map tensor %s: %d bytes for %s, or not on a 32-byte boundary", name, len(data), out)
	}
	buffer := C.ggml_backend_cpu_buffer_from_ptr(unsafe.Pointer(&data[0]), C.size_t(len(data)))
	if buffer == nil {
		return nil, fmt.Errorf("map tensor %s: %w", name, ErrNoMemory)
	}
	s.buffers = append(s.buffers, buffer)
	if C.qlora_mapped_tensor(out.ptr, buffer, unsafe.Pointer(&data[0])) != 0 {
		return nil, fmt.Errorf("map tensor %s: ggml refused the address", name)
	}
	return out, nil
}

// Alloc gives memory to every tensor declared so far. The first error of the declarations is returned here.
func (s *Store) Alloc(b *Backend) error {
	if s.err != nil {
		return s.err
	}
	buffer := C.ggml_backend_alloc_ctx_tensors(s.ctx, b.ptr)
	if buffer == nil {
		return fmt.Errorf("allocate %d bytes of tensors: %w", s.wanted, ErrNoMemory)
	}
	s.buffers, s.backend = append(s.buffers, buffer), b
	s.bytes += int64(C.ggml_backend_buffer_get_size(buffer))
	return nil
}

// Bytes is the memory that Alloc took.
func (s *Store) Bytes() int64 { return s.bytes }

// Close frees the tensors. It may be called twice.
func (s *Store) Close() error {
	for _, b := range s.buffers {
		C.ggml_backend_buffer_free(b)
	}
	s.buffers = nil
	if s.ctx != nil {
		C.ggml_free(s.ctx)
		s.ctx = nil
	}
	return nil
}

// Aligned reports whether data starts on a boundary that Map accepts.
func Aligned(data []byte) bool {
	return len(data) > 0 && uintptr(unsafe.Pointer(&data[0]))%32 == 0
}
