// Matrix products through cuBLASLt, column-major, with F32 sums. ggml stores [in, out] with `in` contiguous, which is a
// column-major in x out matrix, so transposes are flags and never copies.
#pragma once
#include "common.cuh"

struct qlora_matrix {
    const void *   data;
    cudaDataType_t type;
    int64_t        ld; // elements from one column to the next
};

inline qlora_matrix matrix_of(const ggml_tensor * t) {
    return {t->data, cuda_type(t->type), row_stride(t)};
}

qlora_plans * qlora_plans_new();
void          qlora_plans_free(qlora_plans * plans);

// D[m x n] = alpha * op(A)[m x k] op(B)[k x n] + beta * C. C may be D. No product depends on what ran before: the algorithm
// is cuBLAS's first choice for the shape, and long sums are split through the workspace only.
cudaError_t qlora_gemm(const qlora_launch & l, bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const qlora_matrix & a,
                       const qlora_matrix & b, float beta, const qlora_matrix & c, const qlora_matrix & d);
