#pragma once
#include "gemm.cuh"

// Prepares what a product is added to, by enum qlora_init: beta and C of the product; a bias is written to y.
cudaError_t qlora_initial(ggml_tensor * y, const ggml_tensor * init, int mode, const qlora_launch & l, float & beta, qlora_matrix & c);
