#include "skinny.cuh"

#include "mma.cuh"

namespace {

constexpr int WARPS = 4, ROWS = 16 * WARPS, STEP = 64, STAGES = 6, THREADS = 32 * WARPS;

template <typename T> struct skinny_args {
    const T *x, *a;
    T *      y, *keep;
    int64_t  x_ld, y_ld, keep_ld, n, k;
    int      columns;
};

// G groups of sixteen columns. A stage holds STEP columns of ROWS rows of X and of 16 * G rows of A.
template <typename T, int G> struct stage {
    using rows = tile<T, STEP>;
    static constexpr int elements = (ROWS + 16 * G) * rows::ld;

    // Starts copying columns [k0, k0 + STEP); zeros beyond the matrices.
    static __device__ __forceinline__ void fill(T * base, const skinny_args<T> & p, int64_t row0, int64_t k0) {
        constexpr int packs = STEP / 8;
#pragma unroll
        for (int i = threadIdx.x; i < (ROWS + 16 * G) * packs; i += THREADS) {
            const int     r = i / packs;
            const int64_t c = k0 + i % packs * 8;
            const bool    is_x = r < ROWS;
            const int64_t row  = is_x ? row0 + r : r - ROWS;
            const bool    in   = c < p.k && row < (is_x ? p.n : (int64_t) p.columns);
            const T *     from = is_x ? p.x + row * p.x_ld + c : p.a + row * p.k + c;
            copy16_async(base + r * rows::ld + i % packs * 8, in ? from : p.x, in);
        }
    }
};

template <typename T> __device__ __forceinline__ void store_pair(T * base, int64_t ld, int64_t row, int column, float lo, float hi) {
    *reinterpret_cast<uint32_t *>(base + row * ld + column) = pack2<T>(lo, hi);
}

template <typename T, int G> __global__ void __launch_bounds__(THREADS) skinny_kernel(skinny_args<T> p) {
#if __CUDA_ARCH__ >= 800
    using rows = tile<T, STEP>;
    extern __shared__ __align__(16) uint8_t memory[];
    T * const     shared = reinterpret_cast<T *>(memory);
    const int     lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int64_t row0 = (int64_t) blockIdx.x * ROWS;
    const int     steps = (int) ((p.k + STEP - 1) / STEP);
    float         c[2 * G][4] = {};
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            stage<T, G>::fill(shared + s * stage<T, G>::elements, p, row0, (int64_t) s * STEP);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int s = 0; s < steps; s++) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        __syncthreads();
        if (s + STAGES - 1 < steps) {
            stage<T, G>::fill(shared + (s + STAGES - 1) % STAGES * stage<T, G>::elements, p, row0, (int64_t) (s + STAGES - 1) * STEP);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        const T * const base = shared + s % STAGES * stage<T, G>::elements;
        const uint32_t  at_x = rows::lane_a(base + warp * 16 * rows::ld, lane), at_a = rows::lane_b_rows(base + ROWS * rows::ld, lane);
#pragma unroll
        for (int k = 0; k < STEP; k += 16) {
            uint32_t fx[4];
            ldmatrix4(fx, at_x + rows::at(0, k));
#pragma unroll
            for (int g = 0; g < G; g++) {
                uint32_t fa[4];
                ldmatrix4(fa, at_a + rows::at(16 * g, k));
                mma16816<T, false>(c[2 * g], fx, fa[0], fa[1]);
                mma16816<T, false>(c[2 * g + 1], fx, fa[2], fa[3]);
            }
        }
    }
#pragma unroll
    for (int j = 0; j < 2 * G; j++) {
        const int column = 8 * j + lane % 4 * 2;
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int64_t row = row0 + warp * 16 + lane / 4 + 8 * h;
            if (row < p.n && 8 * j < p.columns) {
                store_pair(p.y, p.y_ld, row, column, c[j][2 * h], c[j][2 * h + 1]);
                if (p.keep != nullptr) {
                    store_pair(p.keep, p.keep_ld, row, column, c[j][2 * h], c[j][2 * h + 1]);
                }
            }
        }
    }
#endif
}

template <typename T, int G> cudaError_t launch(const skinny_args<T> & p, cudaStream_t stream) {
    constexpr int bytes = STAGES * stage<T, G>::elements * (int) sizeof(T);
    QL_TRY(cudaFuncSetAttribute(skinny_kernel<T, G>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    skinny_kernel<T, G><<<blocks_for(p.n, ROWS), THREADS, bytes, stream>>>(p);
    return cudaGetLastError();
}

template <typename T> cudaError_t choose(const skinny_args<T> & p, cudaStream_t stream) {
    switch ((p.columns + 15) / 16) {
        case 1: return launch<T, 1>(p, stream);
        case 2: return launch<T, 2>(p, stream);
        case 3: return launch<T, 3>(p, stream);
        case 4: return launch<T, 4>(p, stream);
        default: return launch<T, 6>(p, stream);
    }
}

bool whole_packs(const void * data, int64_t ld) {
    return (uintptr_t) data % 16 == 0 && ld % 8 == 0;
}

} // namespace

cudaError_t qlora_skinny(const qlora_launch & l, int type, const qlora_matrix & x, const void * a, int64_t n, int64_t k, int64_t columns,
                         const qlora_matrix & y, const qlora_matrix & keep, bool & done) {
    // six stages of 160 rows are 138 KiB, which cards from sm_80 on but not the smaller ones among them have
    done = type != GGML_TYPE_F32 && l.capability >= 80 && columns <= (l.shared >= 140 << 10 ? 96 : 32) && columns % 8 == 0 && k % 8 == 0 &&
           whole_packs(x.data, x.ld) && whole_packs(a, k) && y.ld % 2 == 0 && keep.ld % 2 == 0;
    if (!done) {
        return cudaSuccess;
    }
    return with_type(type, [&](auto t) {
        using T = decltype(t);
        if constexpr (sizeof(T) == 2) {
            return choose(skinny_args<T>{(const T *) x.data, (const T *) a, (T *) const_cast<void *>(y.data), (T *) const_cast<void *>(keep.data), x.ld,
                                         y.ld, keep.ld, n, k, (int) columns},
                          l.stream);
        } else {
            return cudaErrorInvalidValue;
        }
    });
}
