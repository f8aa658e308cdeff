package ggml

// #include "ggml_pinned.h"
import "C"

import "fmt"

// Type is a ggml tensor type; the numbers are those of GGUF files.
type Type uint32

// The types that training computes with or reads weights in.
const (
	F32   Type = C.GGML_TYPE_F32
	F16   Type = C.GGML_TYPE_F16
	Q4_0  Type = C.GGML_TYPE_Q4_0
	Q4_1  Type = C.GGML_TYPE_Q4_1
	Q5_0  Type = C.GGML_TYPE_Q5_0
	Q5_1  Type = C.GGML_TYPE_Q5_1
	Q8_0  Type = C.GGML_TYPE_Q8_0
	Q2K   Type = C.GGML_TYPE_Q2_K
	Q3K   Type = C.GGML_TYPE_Q3_K
	Q4K   Type = C.GGML_TYPE_Q4_K
	Q5K   Type = C.GGML_TYPE_Q5_K
	Q6K   Type = C.GGML_TYPE_Q6_K
	IQ4NL Type = C.GGML_TYPE_IQ4_NL
	IQ4XS Type = C.GGML_TYPE_IQ4_XS
	I32   Type = C.GGML_TYPE_I32
	BF16  Type = C.GGML_TYPE_BF16
)

// BaseTypes lists the types a trained model's weights may have.
func BaseTypes() []Type {
	return []Type{F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K, IQ4NL, IQ4XS}
}

// IsBase reports whether weights of type t can be read by the training operations.
func (t Type) IsBase() bool {
	for _, b := range BaseTypes() {
		if t == b {
			return true
		}
	}
	return false
}

func (t Type) known() bool { return t.IsBase() || t == I32 }

// String is ggml's own name of the type, such as "q4_K".
func (t Type) String() string {
	if !t.known() {
		return fmt.Sprintf("type %d", uint32(t))
	}
	return C.GoString(C.ggml_get_type_traits(C.int32_t(t)).type_name)
}

// BlockSize is the number of elements a block holds; rows are whole blocks.
func (t Type) BlockSize() int64 {
	if !t.known() {
		return 0
	}
	return int64(C.ggml_get_type_traits(C.int32_t(t)).blck_size)
}

// RowBytes is the size of a row of n elements; n must be a multiple of BlockSize.
func (t Type) RowBytes(n int64) int64 {
	if !t.known() || n%t.BlockSize() != 0 {
		return 0
	}
	return int64(C.ggml_row_size(C.int32_t(t), C.int64_t(n)))
}
