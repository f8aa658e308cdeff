#include "skinny.cuh"

#include "mma.cuh"

namespace {

// A block makes ROWS rows of the result. Its warps share them in groups of sixteen and share the STEP columns of X at hand in
// slices of sixteen; the slices' sums are added at the end, always in the same order. More rows read A less often, fewer
// keep all multiprocessors busy.
constexpr int STEP = 64, STAGES = 6, SLICES = STEP / 16;

template <int ROWS> constexpr int THREADS = 32 * (ROWS / 16) * SLICES;

template <typename T> struct skinny_args {
    const T *x, *a;
    T *      y, *keep;
    int64_t  x_ld, y_ld, keep_ld, n, k;
    int      columns, tail; // computed, and those that get zeros behind them included
};

// G groups of sixteen columns. A stage holds STEP columns of ROWS rows of X and of 16 * G rows of A.
template <typename T, int G, int ROWS> struct stage {
    using rows = tile<T, STEP>;
    static constexpr int elements = (ROWS + 16 * G) * rows::ld;

    // Starts copying columns [k0, k0 + STEP); zeros beyond the matrices.
    static __device__ __forceinline__ void fill(T * base, const skinny_args<T> & p, int64_t row0, int64_t k0) {
        constexpr int packs = STEP / 8;
#pragma unroll
        for (int i = threadIdx.x; i < (ROWS + 16 * G) * packs; i += THREADS<ROWS>) {
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

template <typename T> __device__ __forceinline__ void store_pair(const skinny_args<T> & p, int64_t row, int column, float lo, float hi) {
    const uint32_t pair = pack2<T>(lo, hi);
    *reinterpret_cast<uint32_t *>(p.y + row * p.y_ld + column) = pair;
    if (p.keep != nullptr && column < p.columns) {
        *reinterpret_cast<uint32_t *>(p.keep + row * p.keep_ld + column) = pair;
    }
}

template <typename T, int G, int ROWS> __global__ void __launch_bounds__(THREADS<ROWS>) skinny_kernel(skinny_args<T> p) {
#if __CUDA_ARCH__ >= 800
    using rows = tile<T, STEP>;
    extern __shared__ __align__(16) uint8_t memory[];
    T * const     shared = reinterpret_cast<T *>(memory);
    const int     lane = threadIdx.x % 32, warp = threadIdx.x / 32, slice = warp % SLICES, group = warp / SLICES;
    const int64_t row0 = (int64_t) blockIdx.x * ROWS;
    const int     steps = (int) ((p.k + STEP - 1) / STEP);
    float         c[2 * G][4] = {};
#pragma unroll
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) {
            stage<T, G, ROWS>::fill(shared + s * stage<T, G, ROWS>::elements, p, row0, (int64_t) s * STEP);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
    }
    for (int s = 0; s < steps; s++) {
        asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2) : "memory");
        __syncthreads();
        if (s + STAGES - 1 < steps) {
            stage<T, G, ROWS>::fill(shared + (s + STAGES - 1) % STAGES * stage<T, G, ROWS>::elements, p, row0, (int64_t) (s + STAGES - 1) * STEP);
        }
        asm volatile("cp.async.commit_group;" ::: "memory");
        const T * const base = shared + s % STAGES * stage<T, G, ROWS>::elements;
        uint32_t        fx[4], fa[G][4];
        ldmatrix4(fx, rows::lane_a(base + group * 16 * rows::ld, lane) + rows::at(0, 16 * slice));
#pragma unroll
        for (int g = 0; g < G; g++) {
            ldmatrix4(fa[g], rows::lane_b_rows(base + ROWS * rows::ld, lane) + rows::at(16 * g, 16 * slice));
        }
#pragma unroll
        for (int g = 0; g < G; g++) {
            mma16816<T, false>(c[2 * g], fx, fa[g][0], fa[g][1]);
            mma16816<T, false>(c[2 * g + 1], fx, fa[g][2], fa[g][3]);
        }
    }
    asm volatile("cp.async.wait_all;" ::: "memory");
    __syncthreads();
    float * const sums = reinterpret_cast<float *>(memory) + warp * 256 * G + lane; // [8 * G][32] a warp
#pragma unroll
    for (int j = 0; j < 8 * G; j++) {
        sums[32 * j] = c[j / 4][j % 4];
    }
    __syncthreads();
    for (int j = slice; j < (p.tail + 7) / 8; j += SLICES) { // the slices share the columns now, eight at a time
        float total[4] = {};
        if (j < 2 * G) {
#pragma unroll
            for (int s = 0; s < SLICES; s++) {
                const float * from = reinterpret_cast<const float *>(memory) + (group * SLICES + s) * 256 * G + 128 * j + lane;
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    total[e] += from[32 * e];
                }
            }
        }
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int64_t row = row0 + group * 16 + lane / 4 + 8 * h;
            if (row < p.n) {
                store_pair(p, row, 8 * j + lane % 4 * 2, total[2 * h], total[2 * h + 1]);
            }
        }
    }
#endif
}

template <typename T, int G, int ROWS> cudaError_t launch_rows(const skinny_args<T> & p, cudaStream_t stream) {
    constexpr int bytes = STAGES * stage<T, G, ROWS>::elements * (int) sizeof(T);
    static_assert(bytes >= THREADS<ROWS> / 32 * 256 * G * 4, "the sums lie where the stages lay");
    QL_TRY(cudaFuncSetAttribute(skinny_kernel<T, G, ROWS>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    skinny_kernel<T, G, ROWS><<<blocks_for(p.n, ROWS), THREADS<ROWS>, bytes, stream>>>(p);
    return cudaGetLastError();
}

template <typename T, int G> cudaError_t launch(const skinny_args<T> & p, cudaStream_t stream) {
    return p.n >= 100 * 64 ? launch_rows<T, G, 64>(p, stream) : launch_rows<T, G, 32>(p, stream);
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
                         int64_t tail, const qlora_matrix & y, const qlora_matrix & keep, bool & done) {
    // six stages of 160 rows are 135 KiB, which not every card from sm_80 on has; 96 rows are 81 KiB
    done = type != GGML_TYPE_F32 && l.capability >= 80 && columns <= (l.shared >= 140 << 10 ? 96 : 32) && columns % 8 == 0 && k % 8 == 0 &&
           whole_packs(x.data, x.ld) && whole_packs(a, k) && y.ld % 2 == 0 && keep.ld % 2 == 0;
    if (!done) {
        return cudaSuccess;
    }
    return with_type(type, [&](auto t) {
        using T = decltype(t);
        if constexpr (sizeof(T) == 2) {
            return choose(skinny_args<T>{(const T *) x.data, (const T *) a, (T *) const_cast<void *>(y.data), (T *) const_cast<void *>(keep.data), x.ld,
                                         y.ld, keep.ld, n, k, (int) columns, (int) tail},
                          l.stream);
        } else {
            return cudaErrorInvalidValue;
        }
    });
}
