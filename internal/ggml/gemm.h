// Single-precision matrix product used by every dense training operation on the CPU.
//
// The shape is Goto's (Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008): a block of B is
// packed into column panels, a block of A into row tiles, and a register-blocked microkernel runs over the two. B may be a
// quantised ggml weight: it is dequantised while it is packed, so no whole matrix in F32 ever exists.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QLORA_KC    = 256, // depth of a packed block; a multiple of every quantisation block
    QLORA_MC    = 240, // rows of A packed at a time; a multiple of every MR
    QLORA_NC    = 1024, // columns of B packed at a time
    QLORA_MAX_NR = 32,
    QLORA_MAX_MR = 12,
};

// C[m,n] = beta*C + alpha * A[m,k] * B[k,n], with C rows contiguous.
struct qlora_gemm {
    int64_t       m, n, k;
    const float * a;            // A[i,p] = a[i*a_rs + p*a_cs]
    int64_t       a_rs, a_cs;
    const void *  b;            // matrix of type b_type whose rows are b_row bytes apart
    int           b_type;       // ggml type id
    size_t        b_row;
    bool          b_transposed; // true: B[p,j] = row j, element p; false: B[p,j] = row p, element j
    float *       c;
    int64_t       c_rs;
    float         alpha;
    bool          accumulate;   // true: beta = 1, false: beta = 0
};

// Bytes of scratch one thread needs.
size_t qlora_gemm_scratch(void);
// The part [m0,m1) x [n0,n1) of the product, on the calling thread.
void qlora_gemm_part(const struct qlora_gemm * g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float * scratch);
// The share of thread ith of nth: columns when there are enough panels to go round, otherwise rows.
void qlora_gemm_share(const struct qlora_gemm * g, int ith, int nth, float * scratch);
// "avx512", "avx2" or "portable": the kernel chosen for this processor.
const char * qlora_gemm_kernel(void);
