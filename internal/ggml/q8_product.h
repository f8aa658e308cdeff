// The product of Q8_0 weights with Q8_0 activations, for libllama on processors with AVX-512 VNNI: 16 rows of the weights
// are packed side by side, so that one instruction adds four products to each of 16 outputs. ggml's own kernel for this type
// takes the rows one by one; its packed kernels ("repack") leave the type out on x86.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// block_q8_0 of ggml: 32 weights q*d, d in half precision.
struct q8_block {
    uint16_t d;
    int8_t   qs[32];
};

// C[m,n] = A[m,k] * B[k,n]: rows of A and columns of B of k blocks, lda and ldb blocks apart, columns of C ldc floats apart.
struct qlora_q8 {
    int64_t                 m, n, k;
    const struct q8_block * a;
    int64_t                 lda;
    const struct q8_block * b;
    int64_t                 ldb;
    float *                 c;
    int64_t                 ldc;
};

// The share of thread ith of nth. False, with nothing done, on a processor without the instructions.
bool qlora_q8_product(const struct qlora_q8 * p, int ith, int nth);
