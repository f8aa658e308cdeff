// Warp-level matrix instructions: D[16x8] += A[16x16] * B[16x8] for f16 and bf16 with F32 accumulation, and the shared-memory
// loads and copies that feed them. Layouts are those of the PTX ISA, "Matrix Fragments for mma.m16n8k16" and "ldmatrix".
#pragma once
#include "common.cuh"

// K8: the two half-depth instructions of sm_75, f16 only. They run on every later card too.
template <typename T, bool K8> __device__ __forceinline__ void mma16816(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    if constexpr (K8) {
        static_assert(std::is_same_v<T, __half>, "no bf16 instruction has half the depth on sm_75");
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(b0));
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[2]), "r"(a[3]), "r"(b1));
    } else if constexpr (std::is_same_v<T, __half>) {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
}

__device__ __forceinline__ uint32_t shared_address(const void * p) {
    return (uint32_t) __cvta_generic_to_shared(p);
}

// volatile: what they read changes at every barrier, which the operands do not show
__device__ __forceinline__ void ldmatrix4(uint32_t (&r)[4], uint32_t at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at));
}

__device__ __forceinline__ void ldmatrix4_trans(uint32_t (&r)[4], uint32_t at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(at));
}

// Copies 16 or 4 bytes to shared memory behind the thread's back, or zeros where !valid; then nothing is read from src.
__device__ __forceinline__ void copy16_async(void * dst, const void * src, bool valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(dst)), "l"(src), "r"(valid ? 16 : 0) : "memory");
}

__device__ __forceinline__ void copy4_async(void * dst, const void * src, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(dst)), "l"(src), "r"(valid ? 4 : 0) : "memory");
}

// Waits for all copies of this thread; a barrier must follow before others read them.
template <bool ASYNC> __device__ __forceinline__ void wait_copies() {
    if constexpr (ASYNC) {
        asm volatile("cp.async.wait_all;" ::: "memory");
    }
}

// A barrier of two warps, the id-th; id 0 is __syncthreads.
__device__ __forceinline__ void pair_sync(int id) {
    asm volatile("bar.sync %0, 64;" ::"r"(id) : "memory");
}

// 2^x to about 22 bits; 0 for -infinity.
__device__ __forceinline__ float exp2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
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

// A tile in shared memory: rows of DH elements, padded by sixteen bytes so that ldmatrix meets no bank twice. The lane_*
// functions give the address a lane passes to ldmatrix for the fragment at (0, 0); at() moves it by constants.
template <typename T, int DH> struct tile {
    static constexpr int ld = DH + 8;

    static constexpr __device__ uint32_t at(int row, int col) {
        return (uint32_t) ((row * ld + col) * (int) sizeof(T));
    }
    // A[16 x 16]: rows are rows of the product.
    static __device__ __forceinline__ uint32_t lane_a(const T * base, int lane) {
        return shared_address(base + lane % 16 * ld + lane / 16 * 8);
    }
    // B for two column groups: columns [0, 16) of the product are rows of the tile, k runs along them. Registers 0 and 1
    // serve columns 0..7, 2 and 3 serve 8..15.
    static __device__ __forceinline__ uint32_t lane_b_rows(const T * base, int lane) {
        return shared_address(base + (lane % 8 + lane / 16 * 8) * ld + lane / 8 % 2 * 8);
    }
    // The same where k runs down the rows and columns are columns; for ldmatrix4_trans.
    static __device__ __forceinline__ uint32_t lane_b_cols(const T * base, int lane) {
        return lane_a(base, lane);
    }
};

// Copies successive tiles of ROWS rows of DH from global memory. Each thread keeps the place of its part of the next one.
template <typename T, int DH, int ROWS, int THREADS, bool ASYNC> struct tile_reader {
    static constexpr int packs = DH / 8;

    static constexpr __device__ int rows_at_once() {
        int rows = 1;
        while (2 * rows * packs <= THREADS && 2 * rows <= ROWS) {
            rows *= 2;
        }
        return rows;
    }
    const T * from;

    __device__ __forceinline__ tile_reader(const T * src, int64_t ld) : from(src + threadIdx.x / packs * ld + threadIdx.x % packs * 8) {}

    // Starts copying a tile, with zeros from row `valid` on, and moves behind it.
    __device__ __forceinline__ void next(T * base, int64_t ld, int valid) {
        constexpr int step = rows_at_once();
        const int     row  = threadIdx.x / packs;
        if (step * packs == THREADS || row < step) {
            T * const to   = base + row * tile<T, DH>::ld + threadIdx.x % packs * 8;
            const T * at   = from;
            int       left = valid - row;
            asm("" : "+r"(left)); // or the compiler keeps a counter for every row
#pragma unroll
            for (int r = 0; r < ROWS; r += step, at += step * ld) {
                copy(to + r * tile<T, DH>::ld, at, r < left);
            }
        }
        from += ROWS * ld;
        asm("" : "+l"(from)); // likewise a pointer
    }

    __device__ __forceinline__ void skip(int64_t elements) {
        from += elements;
    }

    // Sixteen bytes, or zeros. `at` may point anywhere where !valid.
    static __device__ __forceinline__ void copy(T * to, const T * at, bool valid) {
        if constexpr (ASYNC) {
            copy16_async(to, at, valid);
        } else {
            store16(to, valid ? load16(at) : pack16<T>{});
        }
    }
};
