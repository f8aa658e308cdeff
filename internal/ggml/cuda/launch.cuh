// The launchers of all operations; each queues its kernels on l.stream and returns the first error.
#pragma once
#include "common.cuh"

cudaError_t qlora_cuda_linear(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_linear_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_outer(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_bias_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_norm(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_norm_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_norm_back_w(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_rope_table(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_rope(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_attn(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_attn_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_swiglu(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_swiglu_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_add(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_dropout(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_embed(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_embed_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_gather(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_scatter(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_loss(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_adamw(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
cudaError_t qlora_cuda_sum_squares(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
