package ggml

// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Tensor is a tensor of a Store; it lives as long as the Store does.
type Tensor struct {
	ptr   *C.struct_ggml_tensor
	store *Store
}

// Ne is the number of elements along dimension i.
func (t *Tensor) Ne(i int) int64 { return int64(t.ptr.ne[i]) }

// Type is the element type.
func (t *Tensor) Type() Type { return Type(t.ptr._type) }

// Elements is the number of elements.
func (t *Tensor) Elements() int64 { return t.Ne(0) * t.Ne(1) * t.Ne(2) * t.Ne(3) }

// Bytes is the size of the data.
func (t *Tensor) Bytes() int64 { return int64(C.ggml_nbytes(t.ptr)) }

// Name is the name it was declared with.
func (t *Tensor) Name() string { return C.GoString(&t.ptr.name[0]) }

func (t *Tensor) String() string {
	if t == nil {
		return "nil tensor"
	}
	return fmt.Sprintf("%s %s [%d, %d]", t.Name(), t.Type(), t.Ne(0), t.Elements()/max(t.Ne(0), 1))
}

// SetF32 copies src to the tensor's first elements, from offset on. On a device the copy waits for its turn behind the graphs
// that were started before; src may be changed at once.
func (t *Tensor) SetF32(offset int64, src []float32) error {
	if err := t.checkRange(F32, offset, len(src)); err != nil || len(src) == 0 {
		return err
	}
	t.set(unsafe.Pointer(&src[0]), 4*offset, 4*int64(len(src)))
	return nil
}

// SetI32 copies src to the tensor's elements from offset on, as SetF32 does.
func (t *Tensor) SetI32(offset int64, src []int32) error {
	if err := t.checkRange(I32, offset, len(src)); err != nil || len(src) == 0 {
		return err
	}
	t.set(unsafe.Pointer(&src[0]), 4*offset, 4*int64(len(src)))
	return nil
}

// SetBytes copies the whole data, in the tensor's own type.
func (t *Tensor) SetBytes(src []byte) error {
	if int64(len(src)) != t.Bytes() {
		return fmt.Errorf("write %s: %d bytes, want %d", t, len(src), t.Bytes())
	}
	t.set(unsafe.Pointer(&src[0]), 0, int64(len(src)))
	return nil
}

func (t *Tensor) set(src unsafe.Pointer, offset, size int64) {
	if b := t.device(); b != nil {
		C.ggml_backend_tensor_set_async(b.ptr, t.ptr, src, C.size_t(offset), C.size_t(size))
		return
	}
	C.ggml_backend_tensor_set(t.ptr, src, C.size_t(offset), C.size_t(size))
}

// GetF32 copies len(dst) elements from offset on, after all graphs that were started before.
func (t *Tensor) GetF32(offset int64, dst []float32) error {
	if err := t.checkRange(F32, offset, len(dst)); err != nil || len(dst) == 0 {
		return err
	}
	t.get(unsafe.Pointer(&dst[0]), 4*offset, 4*int64(len(dst)))
	return nil
}

// GetBytes copies the whole data, in the tensor's own type, as GetF32 does.
func (t *Tensor) GetBytes(dst []byte) error {
	if int64(len(dst)) != t.Bytes() {
		return fmt.Errorf("read %s: room for %d bytes, want %d", t, len(dst), t.Bytes())
	}
	t.get(unsafe.Pointer(&dst[0]), 0, int64(len(dst)))
	return nil
}

func (t *Tensor) get(dst unsafe.Pointer, offset, size int64) {
	if b := t.device(); b != nil {
		C.ggml_backend_tensor_get_async(b.ptr, t.ptr, dst, C.size_t(offset), C.size_t(size))
		C.ggml_backend_synchronize(b.ptr)
		return
	}
	C.ggml_backend_tensor_get(t.ptr, dst, C.size_t(offset), C.size_t(size))
}

// Zero clears the tensor at once. Between graphs on a device, use the operation of the same name.
func (t *Tensor) Zero() {
	if b := t.device(); b != nil {
		C.ggml_backend_synchronize(b.ptr)
	}
	C.ggml_backend_tensor_memset(t.ptr, 0, 0, C.ggml_nbytes(t.ptr))
}

// device is the backend whose stream orders access to the tensor, nil where it lies in ordinary memory.
func (t *Tensor) device() *Backend {
	if b := t.store.backend; b != nil && !b.OnHost() {
		return b
	}
	return nil
}

func (t *Tensor) checkRange(want Type, offset int64, n int) error {
	if t.Type() != want || offset < 0 || offset+int64(n) > t.Elements() || t.ptr.data == nil {
		return fmt.Errorf("copy %d values of %s at %d: does not fit %s", n, want, offset, t)
	}
	return nil
}
