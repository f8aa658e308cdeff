package lora

import "github.com/qlora/qlora/internal/gguf"

// Kernels are the conversions and inner loops of a merge. They must be safe
// for concurrent use.
type Kernels struct {
	// Supports says whether Dequantize and Store know a type.
	Supports func(t gguf.Type) bool
	// Dequantize converts whole rows; len(dst) is the number of values.
	Dequantize func(t gguf.Type, src []byte, dst []float32) error
	// Store converts rows of rowLen values to t, and gives the sums of
	// (stored-src)² and of src². scratch has room for len(src) values.
	Store func(t gguf.Type, src []float32, rowLen int, dst []byte, scratch []float32) (lost, norm float64, err error)
	// AddProduct adds B·A to w: len(w)/nIn rows of nIn values, B of as many
	// rows of rank values, A of rank rows of nIn values. Nil: a loop in Go.
	AddProduct func(w, b, a []float32, rank, nIn int) error
	// Compare gives the sum of (x-y)² and of y². Nil: a loop in Go.
	Compare func(x, y []float32) (difference, norm float64)
}

func (k Kernels) withDefaults() Kernels {
	if k.AddProduct == nil {
		k.AddProduct = addProduct
	}
	if k.Compare == nil {
		k.Compare = compare
	}
	return k
}

// addProduct takes four rows of A at a time, so that a row of w is read and
// written once for four products.
func addProduct(w, b, a []float32, rank, nIn int) error {
	for len(w) > 0 {
		row, coef := w[:nIn], b[:rank]
		w, b = w[nIn:], b[rank:]
		k := 0
		for ; k+4 <= rank; k += 4 {
			addFour(row, a[k*nIn:(k+4)*nIn], coef[k:k+4])
		}
		for ; k < rank; k++ {
			c := coef[k]
			for j, x := range a[k*nIn : (k+1)*nIn] {
				row[j] += c * x
			}
		}
	}
	return nil
}

func addFour(row, a, coef []float32) {
	n := len(row)
	a0, a1, a2, a3 := a[:n], a[n:2*n], a[2*n:3*n], a[3*n:4*n]
	c0, c1, c2, c3 := coef[0], coef[1], coef[2], coef[3]
	for j := range row {
		row[j] += c0*a0[j] + c1*a1[j] + c2*a2[j] + c3*a3[j]
	}
}

func compare(x, y []float32) (difference, norm float64) {
	for i, v := range y {
		d := float64(x[i]) - float64(v)
		difference += d * d
		norm += float64(v) * float64(v)
	}
	return difference, norm
}
