package ggml

// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Tensor is a tensor of a Store; it lives as long as the Store does.
type Tensor struct{ ptr *C.struct_ggml_tensor }

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

// SetF32 copies src to the tensor's first elements, from offset on.
func (t *Tensor) SetF32(offset int64, src []float32) error {
	if err := t.checkRange(F32, offset, len(src)); err != nil || len(src) == 0 {
		return err
	}
	C.ggml_backend_tensor_set(t.ptr, unsafe.Pointer(&src[0]), C.size_t(4*offset), C.size_t(4*len(src)))
	return nil
}

// SetI32 copies src to the tensor's elements from offset on.
func (t *Tensor) SetI32(offset int64, src []int32) error {
	if err := t.checkRange(I32, offset, len(src)); err != nil || len(src) == 0 {
		return err
	}
	C.ggml_backend_tensor_set(t.ptr, unsafe.Pointer(&src[0]), C.size_t(4*offset), C.size_t(4*len(src)))
	return nil
}

// SetBytes copies the whole data, in the tensor's own type.
func (t *Tensor) SetBytes(src []byte) error {
	if int64(len(src)) != t.Bytes() {
		return fmt.Errorf("write %s: %d bytes, want %d", t, len(src), t.Bytes())
	}
	C.ggml_backend_tensor_set(t.ptr, unsafe.Pointer(&src[0]), 0, C.size_t(len(src)))
	return nil
}

// GetF32 copies len(dst) elements from offset on.
func (t *Tensor) GetF32(offset int64, dst []float32) error {
	if err := t.checkRange(F32, offset, len(dst)); err != nil || len(dst) == 0 {
		return err
	}
	C.ggml_backend_tensor_get(t.ptr, unsafe.Pointer(&dst[0]), C.size_t(4*offset), C.size_t(4*len(dst)))
	return nil
}

// Zero clears the tensor.
func (t *Tensor) Zero() {
	C.ggml_backend_tensor_memset(t.ptr, 0, 0, C.ggml_nbytes(t.ptr))
}

func (t *Tensor) checkRange(want Type, offset int64, n int) error {
	if t.Type() != want || offset < 0 || offset+int64(n) > t.Elements() || t.ptr.data == nil {
		return fmt.Errorf("copy %d values of %s at %d: does not fit %s", n, want, offset, t)
	}
	return nil
}
