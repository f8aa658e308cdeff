package gguf

import "testing"

func TestTypeTable(t *testing.T) {
	// Bits per weight by the formats' definitions: an independent sum.
	bits := map[Type]float64{
		F32: 32, F16: 16, BF16: 16, Q4_0: 4.5, Q4_1: 5, Q5_0: 5.5, Q5_1: 6, Q8_0: 8.5, Q8_1: 9,
		Q2_K: 2.625, Q3_K: 3.4375, Q4_K: 4.5, Q5_K: 5.5, Q6_K: 6.5625, Q8_K: 9.125,
		IQ4_NL: 4.5, IQ4_XS: 4.25, IQ2_XXS: 2.0625, IQ2_XS: 2.3125, IQ2_S: 2.5625,
		IQ3_XXS: 3.0625, IQ3_S: 3.4375, IQ1_S: 1.5625, IQ1_M: 1.75,
		TQ1_0: 1.6875, TQ2_0: 2.0625, MXFP4: 4.25, NVFP4: 4.5, Q1_0: 1.125,
		I8: 8, I16: 16, I32: 32, I64: 64, F64: 64,
	}
	if len(bits) != len(layouts) {
		t.Fatalf("%d types in the table, %d here", len(layouts), len(bits))
	}
	for typ, want := range bits {
		if got := float64(typ.TypeSize()) * 8 / float64(typ.BlockSize()); got != want {
			t.Errorf("%s has %g bits per value, want %g", typ, got, want)
		}
		if back, err := ParseType(typ.String()); err != nil || back != typ {
			t.Errorf("ParseType(%q) = %v, %v", typ.String(), back, err)
		}
	}
}

func TestRowBytes(t *testing.T) {
	if n, err := Q4_K.RowBytes(512); err != nil || n != 288 {
		t.Errorf("Q4_K row of 512: %d, %v, want 288", n, err)
	}
	for _, bad := range []struct {
		typ Type
		n   int64
	}{{Q4_K, 576}, {F32, -1}, {F32, 1 << 62}, {Type(4), 32}, {Type(99), 0}} {
		if n, err := bad.typ.RowBytes(bad.n); err == nil {
			t.Errorf("%s row of %d gave %d, want an error", bad.typ, bad.n, n)
		}
	}
	if _, err := ParseType("q4_k_m"); err == nil {
		t.Error("ParseType took a mixture for a type")
	}
}
