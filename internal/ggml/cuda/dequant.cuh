#pragma once
#include "common.cuh"

// Writes n elements of a weight of ggml type `type`, whole blocks, as out_type (F32, F16 or BF16).
cudaError_t qlora_dequantise(int type, const void * src, int out_type, void * dst, int64_t n, cudaStream_t stream);
