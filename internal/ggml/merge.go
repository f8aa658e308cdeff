package ggml

// #include "merge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// AddProduct adds B·A to w, which has len(w)/nIn rows of nIn values: B has as many rows of rank values, A has rank rows of
// nIn values.
func AddProduct(w, b, a []float32, rank, nIn int) error {
	if rank <= 0 || nIn <= 0 || len(w)%nIn != 0 || len(a) != rank*nIn || len(b) != len(w)/nIn*rank {
		return fmt.Errorf("add product: %d, %d and %d values are not w, B and A of rank %d and width %d", len(w), len(b), len(a), rank, nIn)
	}
	if len(w) == 0 {
		return nil
	}
	if !C.qlora_add_product((*C.float)(&w[0]), (*C.float)(&b[0]), (*C.float)(&a[0]), C.int64_t(len(w)/nIn), C.int64_t(rank), C.int64_t(nIn)) {
		return fmt.Errorf("add product: out of memory")
	}
	return nil
}

// Compare gives the sums over all values of (x-y)² and of y². x and y have the same length.
func Compare(x, y []float32) (difference, norm float64) {
	n := min(len(x), len(y))
	if n == 0 {
		return 0, 0
	}
	var out [2]C.double
	C.qlora_compare((*C.float)(&x[0]), (*C.float)(&y[0]), C.int64_t(n), &out[0])
	return float64(out[0]), float64(out[1])
}

// StoreRows converts rows of rowLen values to type t, and gives the sums of (stored-src)² and of src². scratch has room for as
// many values as src.
func StoreRows(t Type, src []float32, rowLen int, dst []byte, scratch []float32) (lost, norm float64, err error) {
	if t == F16 && len(src) > 0 && len(dst) == 2*len(src) {
		var out [2]C.double
		C.qlora_store_f16((*C.float)(&src[0]), (*C.uint16_t)(unsafe.Pointer(&dst[0])), C.int64_t(len(src)), &out[0])
		return float64(out[0]), float64(out[1]), nil
	}
	if err := Quantize(t, src, rowLen, nil, dst); err != nil {
		return 0, 0, err
	}
	if err := Dequantize(t, dst, scratch[:len(src)]); err != nil {
		return 0, 0, err
	}
	lost, norm = Compare(scratch[:len(src)], src)
	return lost, norm, nil
}
