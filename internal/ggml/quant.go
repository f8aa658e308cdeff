package ggml

// #include "ggml_pinned.h"
//
// static void to_float(const struct ggml_type_traits * traits, const void * x, float * y, int64_t n) {
//     traits->to_float(x, y, n);
// }
import "C"

import (
	"fmt"
	"unsafe"
)

// Dequantize converts whole blocks of type t in src to len(dst) values.
func Dequantize(t Type, src []byte, dst []float32) error {
	if err := checkRows(t, int64(len(dst)), len(src)); err != nil {
		return fmt.Errorf("dequantise: %w", err)
	}
	if len(dst) == 0 {
		return nil
	}
	if t == F32 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), len(src)), src)
		return nil
	}
	C.to_float(C.ggml_get_type_traits(C.int32_t(t)), unsafe.Pointer(&src[0]), (*C.float)(&dst[0]), C.int64_t(len(dst)))
	return nil
}

// Quantize converts rows of rowLen values to type t. imatrix, when not nil, holds one importance a column.
func Quantize(t Type, src []float32, rowLen int, imatrix []float32, dst []byte) error {
	if rowLen <= 0 || len(src)%rowLen != 0 || int64(rowLen)%max(t.BlockSize(), 1) != 0 {
		return fmt.Errorf("quantise to %s: %d values are not whole rows of %d", t, len(src), rowLen)
	}
	if err := checkRows(t, int64(len(src)), len(dst)); err != nil {
		return fmt.Errorf("quantise: %w", err)
	}
	if imatrix != nil && len(imatrix) != rowLen {
		return fmt.Errorf("quantise to %s: importance of %d columns for rows of %d", t, len(imatrix), rowLen)
	}
	if len(src) == 0 {
		return nil
	}
	var importance *C.float
	if imatrix != nil {
		importance = (*C.float)(&imatrix[0])
	}
	C.ggml_quantize_chunk(C.int32_t(t), (*C.float)(&src[0]), unsafe.Pointer(&dst[0]), 0,
		C.int64_t(len(src)/rowLen), C.int64_t(rowLen), importance)
	return nil
}

func checkRows(t Type, elements int64, bytes int) error {
	if !t.IsBase() {
		return fmt.Errorf("type %d is not a weight type of this build", uint32(t))
	}
	if elements%t.BlockSize() != 0 {
		return fmt.Errorf("%d elements are not whole blocks of %s", elements, t)
	}
	if want := t.RowBytes(elements); want != int64(bytes) {
		return fmt.Errorf("%d elements of %s take %d bytes, not %d", elements, t, want, bytes)
	}
	return nil
}
