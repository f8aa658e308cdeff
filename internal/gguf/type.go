package gguf

import (
	"fmt"
	"math"
	"strings"
)

// Type is a ggml tensor type. The ids are those of ggml's enum ggml_type and
// are what GGUF files store.
type Type uint32

// The tensor types of ggml. Ids that are missing here belonged to formats
// that ggml has removed; a file that uses one is refused.
const (
	F32     Type = 0
	F16     Type = 1
	Q4_0    Type = 2
	Q4_1    Type = 3
	Q5_0    Type = 6
	Q5_1    Type = 7
	Q8_0    Type = 8
	Q8_1    Type = 9
	Q2_K    Type = 10
	Q3_K    Type = 11
	Q4_K    Type = 12
	Q5_K    Type = 13
	Q6_K    Type = 14
	Q8_K    Type = 15
	IQ2_XXS Type = 16
	IQ2_XS  Type = 17
	IQ3_XXS Type = 18
	IQ1_S   Type = 19
	IQ4_NL  Type = 20
	IQ3_S   Type = 21
	IQ2_S   Type = 22
	IQ4_XS  Type = 23
	I8      Type = 24
	I16     Type = 25
	I32     Type = 26
	I64     Type = 27
	F64     Type = 28
	IQ1_M   Type = 29
	BF16    Type = 30
	TQ1_0   Type = 34
	TQ2_0   Type = 35
	MXFP4   Type = 39
	NVFP4   Type = 40
	Q1_0    Type = 41
)

// layout says how a type packs values: block values share size bytes.
type layout struct {
	name  string
	block int64
	size  int64
}

// layouts follows the block structs of ggml-common.h.
var layouts = map[Type]layout{
	F32:     {"F32", 1, 4},
	F16:     {"F16", 1, 2},
	Q4_0:    {"Q4_0", 32, 18},
	Q4_1:    {"Q4_1", 32, 20},
	Q5_0:    {"Q5_0", 32, 22},
	Q5_1:    {"Q5_1", 32, 24},
	Q8_0:    {"Q8_0", 32, 34},
	Q8_1:    {"Q8_1", 32, 36},
	Q2_K:    {"Q2_K", 256, 84},
	Q3_K:    {"Q3_K", 256, 110},
	Q4_K:    {"Q4_K", 256, 144},
	Q5_K:    {"Q5_K", 256, 176},
	Q6_K:    {"Q6_K", 256, 210},
	Q8_K:    {"Q8_K", 256, 292},
	IQ2_XXS: {"IQ2_XXS", 256, 66},
	IQ2_XS:  {"IQ2_XS", 256, 74},
	IQ3_XXS: {"IQ3_XXS", 256, 98},
	IQ1_S:   {"IQ1_S", 256, 50},
	IQ4_NL:  {"IQ4_NL", 32, 18},
	IQ3_S:   {"IQ3_S", 256, 110},
	IQ2_S:   {"IQ2_S", 256, 82},
	IQ4_XS:  {"IQ4_XS", 256, 136},
	I8:      {"I8", 1, 1},
	I16:     {"I16", 1, 2},
	I32:     {"I32", 1, 4},
	I64:     {"I64", 1, 8},
	F64:     {"F64", 1, 8},
	IQ1_M:   {"IQ1_M", 256, 56},
	BF16:    {"BF16", 1, 2},
	TQ1_0:   {"TQ1_0", 256, 54},
	TQ2_0:   {"TQ2_0", 256, 66},
	MXFP4:   {"MXFP4", 32, 17},
	NVFP4:   {"NVFP4", 64, 36},
	Q1_0:    {"Q1_0", 128, 18},
}

// Known reports whether t is a type that ggml defines.
func (t Type) Known() bool { _, ok := layouts[t]; return ok }

// String gives ggml's name in capitals, such as "Q4_K".
func (t Type) String() string {
	if l, ok := layouts[t]; ok {
		return l.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// BlockSize is the number of consecutive values of a row that are packed
// together; 1 for plain types, 0 for an unknown type.
func (t Type) BlockSize() int64 { return layouts[t].block }

// TypeSize is the number of bytes of one block; 0 for an unknown type.
func (t Type) TypeSize() int64 { return layouts[t].size }

// Quantized reports whether values share blocks, so that single values cannot
// be addressed.
func (t Type) Quantized() bool { return layouts[t].block > 1 }

// RowBytes is the size of n values laid end to end. It fails when t is
// unknown, n is negative or not a whole number of blocks, or the size
// overflows.
func (t Type) RowBytes(n int64) (int64, error) {
	l, ok := layouts[t]
	switch {
	case !ok:
		return 0, fmt.Errorf("unknown tensor type %d", uint32(t))
	case n < 0 || n%l.block != 0:
		return 0, fmt.Errorf("%d values are not a multiple of the %s block size %d", n, l.name, l.block)
	case n/l.block > math.MaxInt64/l.size:
		return 0, fmt.Errorf("the size of %d %s values overflows", n, l.name)
	}
	return n / l.block * l.size, nil
}

// ParseType finds a type by name, in any case: "q4_k", "F16".
func ParseType(name string) (Type, error) {
	upper := strings.ToUpper(name)
	for t, l := range layouts {
		if l.name == upper {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown tensor type %q", name)
}
