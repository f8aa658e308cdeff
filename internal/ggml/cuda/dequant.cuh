#pragma once
#include "common.cuh"

// Writes the rows of the weight w as out_type (F32, F16 or BF16), ld elements apart.
cudaError_t qlora_dequantise(const ggml_tensor * w, int out_type, void * dst, int64_t ld, cudaStream_t stream);
// The same for n rows of w's format that lie at src.
cudaError_t qlora_dequantise_rows(const ggml_tensor * w, const void * src, int64_t n, int out_type, void * dst, int64_t ld, cudaStream_t stream);
