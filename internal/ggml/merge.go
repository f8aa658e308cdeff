package ggml

// #include "merge.h"
import "C"

import "fmt"

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
