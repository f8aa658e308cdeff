// Package lora is low-rank adaptation: which tensors of a model are adapted,
// how adapters start, the adapter file that llama.cpp loads, and the
// arithmetic of merging one into its base.
//
// An adapted linear computes y = W x + s B (A x) with W frozen, A of r rows
// and B of r columns (Hu et al. 2021, https://arxiv.org/abs/2106.09685). The
// scale s is alpha/r, or alpha/sqrt(r) with rank stabilisation (Kalajdzievski
// 2023, https://arxiv.org/abs/2312.03732).
//
// The package is pure Go. Conversion between F32 and the quantised types is
// passed in by the caller as function values.
package lora
