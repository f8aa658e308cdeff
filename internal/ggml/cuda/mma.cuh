// Warp-level matrix instructions: D[16x8] += A[16x16] * B[16x8] for f16 and bf16 with F32 accumulation, and the shared-memory
// loads that feed them. Layouts are those of the PTX ISA, "Matrix Fragments for mma.m16n8k16" and "ldmatrix". On sm_75 the
// f16 product is two k8 steps; bf16 has no instruction there and is refused before launch.
#pragma once
#include "common.cuh"

template <typename T> __device__ __forceinline__ void mma16816(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if __CUDA_ARCH__ >= 800
    if constexpr (std::is_same_v<T, __half>) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
#elif __CUDA_ARCH__ >= 750
    if constexpr (std::is_same_v<T, __half>) {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(b0));
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2]), "r"(a[3]), "r"(b1));
    }
#endif
}

__device__ __forceinline__ uint32_t shared_address(const void * p) {
    return (uint32_t) __cvta_generic_to_shared(p);
}

__device__ __forceinline__ void ldmatrix4(uint32_t (&r)[4], const void * p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(p)));
}

__device__ __forceinline__ void ldmatrix4_trans(uint32_t (&r)[4], const void * p) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(p)));
}

template <typename T> __device__ __forceinline__ uint32_t pack2(float lo, float hi) {
    if constexpr (std::is_same_v<T, __half>) {
        const __half2 h = __floats2half2_rn(lo, hi);
        return *reinterpret_cast<const uint32_t *>(&h);
    } else {
        const __nv_bfloat162 h = __floats2bfloat162_rn(lo, hi);
        return *reinterpret_cast<const uint32_t *>(&h);
    }
}

// A tile in shared memory: rows of DH elements, padded by sixteen bytes so that ldmatrix meets no bank twice.
template <typename T, int DH> struct tile {
    static constexpr int ld = DH + 8;

    // Fragment A[16 x 16] at (row, col): rows are rows of the product.
    static __device__ __forceinline__ void load_a(uint32_t (&a)[4], const T * base, int row, int col, int lane) {
        ldmatrix4(a, base + (row + lane % 16) * ld + col + lane / 16 * 8);
    }
    // Fragments B for two column groups: columns [row, row+16) of the product are rows of the tile, k runs along them.
    // r[0], r[1] serve columns row..row+7; r[2], r[3] serve row+8..row+15.
    static __device__ __forceinline__ void load_b_rows(uint32_t (&r)[4], const T * base, int row, int col, int lane) {
        ldmatrix4(r, base + (row + lane % 8 + lane / 16 * 8) * ld + col + lane / 8 % 2 * 8);
    }
    // The same where k runs down the rows: columns [col, col+16) of the product are columns of the tile.
    static __device__ __forceinline__ void load_b_cols(uint32_t (&r)[4], const T * base, int row, int col, int lane) {
        ldmatrix4_trans(r, base + (row + lane % 16) * ld + col + lane / 16 * 8);
    }
    // Copies `rows` rows of DH from global memory, zeros beyond `valid`.
    static __device__ __forceinline__ void fill(T * base, const T * src, int64_t src_ld, int rows, int valid) {
        constexpr int packs = DH / 8;
        for (int i = threadIdx.x; i < rows * packs; i += blockDim.x) {
            const int       r = i / packs, c = i % packs * 8;
            const pack16<T> zero = {};
            store16(base + r * ld + c, r < valid ? load16(src + r * src_ld + c) : zero);
        }
    }
};
