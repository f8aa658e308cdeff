// The launchers of all operations; each queues its kernels on l.stream and returns the first error.
#pragma once
#include "common.cuh"

#define QL_OPS(X)                                                                                                     \
    X(LINEAR, linear) X(LINEAR_BACK, linear_back) X(OUTER, outer) X(BIAS_BACK, bias_back) X(NORM, norm)               \
    X(NORM_BACK, norm_back) X(NORM_BACK_W, norm_back_w) X(ROPE_TABLE, rope_table) X(ROPE, rope) X(ATTN, attn)         \
    X(ATTN_BACK, attn_back) X(SWIGLU, swiglu) X(SWIGLU_BACK, swiglu_back) X(ADD, add) X(COPY, copy) X(ZERO, zero)     \
    X(DROPOUT, dropout) X(EMBED, embed) X(EMBED_BACK, embed_back) X(GATHER, gather) X(SCATTER, scatter) X(LOSS, loss) \
    X(ADAMW, adamw) X(SUM_SQUARES, sum_squares) X(GROUP, group) X(GROUP_BACK, group_back) X(GROUP_U, group_u)         \
    X(GROUP_V, group_v)

#define QL_DECLARE(kind, name) cudaError_t qlora_cuda_##name(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
QL_OPS(QL_DECLARE)
#undef QL_DECLARE
