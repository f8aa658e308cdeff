// What the tensor-core attention kernels share: tile sizes, the two kinds of product, the order of the blocks, and stores.
#pragma once
#include "attention.cuh"
#include "mma.cuh"

#include <climits>

constexpr float LOG2E = 1.4426950408889634f;

// WARPS warps of 16 * MT rows each; the block steps over STEP rows of the other side. BLOCKS blocks share a multiprocessor.
// UNROLL column groups of a score are unrolled: fewer need fewer registers.
// Without ASYNC the kernel holds to sm_75: no cp.async, one stage, matrix instructions of depth 8.
template <int DH_, int WARPS_, int MT_, int STEP_, int BLOCKS_, bool ASYNC_, int UNROLL_ = 8> struct attention_config {
    static constexpr int  DH = DH_, WARPS = WARPS_, MT = MT_, STEP = STEP_, BLOCKS = BLOCKS_, UNROLL = UNROLL_;
    static constexpr bool ASYNC   = ASYNC_;
    static constexpr int  THREADS = 32 * WARPS, STAGES = ASYNC ? 2 : 1;
    static constexpr int  ROW_BYTES = (DH + 8) * 2; // of a tile
};

// Kernels that copy asynchronously have no body below sm_80; attention_fits keeps them from being launched there.
template <typename C> constexpr __device__ bool attention_has_body() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    return !C::ASYNC;
#else
    return true;
#endif
}

// The thread's warp, in a way that shows the compiler that all its lanes agree.
__device__ __forceinline__ int warp_index() {
    return __shfl_sync(0xffffffffu, (int) threadIdx.x / 32, 0);
}

// Reads tiles of ROWS rows with all threads of the block.
template <typename T, typename C, int ROWS> using block_reader = tile_reader<T, C::DH, ROWS, C::THREADS, C::ASYNC>;

__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

// c = A B^T over DH columns: 16 * MT rows at lane address a, N rows at lane address b.
template <typename T, typename C, int N>
__device__ __forceinline__ void scores(float (&c)[C::MT][N / 8][4], uint32_t a, uint32_t b) {
    using rows = tile<T, C::DH>;
#pragma unroll
    for (int m = 0; m < C::MT; m++) {
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
            c[m][j][0] = c[m][j][1] = c[m][j][2] = c[m][j][3] = 0.0f;
        }
    }
#pragma unroll(C::UNROLL)
    for (int k = 0; k < C::DH; k += 16) {
        uint32_t fa[C::MT][4];
#pragma unroll
        for (int m = 0; m < C::MT; m++) {
            ldmatrix4(fa[m], a + rows::at(16 * m, k));
        }
#pragma unroll
        for (int n = 0; n < N; n += 16) {
            uint32_t fb[4];
            ldmatrix4(fb, b + rows::at(n, k));
#pragma unroll
            for (int m = 0; m < C::MT; m++) {
                mma16816<T, !C::ASYNC>(c[m][n / 8], fa[m], fb[0], fb[1]);
                mma16816<T, !C::ASYNC>(c[m][n / 8 + 1], fa[m], fb[2], fb[3]);
            }
        }
    }
}

// A product's result W [16 * MT, N], rounded to T, as the left side of the next product: half the registers.
template <typename C, int N> struct left_side {
    uint32_t r[N / 16][C::MT][4];

    // Row group i of column group j: where an accumulator keeps c[m][j][2 * i] and the next.
    __device__ __forceinline__ uint32_t & at(int m, int j, int i) {
        return r[j / 2][m][j % 2 * 2 + i];
    }
};

template <typename T, typename C, int N> __device__ __forceinline__ void round_to_left_side(left_side<C, N> & w, const float (&c)[C::MT][N / 8][4]) {
#pragma unroll
    for (int m = 0; m < C::MT; m++) {
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
            w.at(m, j, 0) = pack2<T>(c[m][j][0], c[m][j][1]);
            w.at(m, j, 1) = pack2<T>(c[m][j][2], c[m][j][3]);
        }
    }
}

// acc += W B, with B the N x DH tile at lane address b.
template <typename T, typename C, int N>
__device__ __forceinline__ void weighted(float (&acc)[C::MT][C::DH / 8][4], const left_side<C, N> & w, uint32_t b) {
    using rows = tile<T, C::DH>;
#pragma unroll
    for (int k = 0; k < N; k += 16) {
#pragma unroll
        for (int n = 0; n < C::DH; n += 16) {
            uint32_t fb[4];
            ldmatrix4_trans(fb, b + rows::at(k, n));
#pragma unroll
            for (int m = 0; m < C::MT; m++) {
                mma16816<T, !C::ASYNC>(acc[m][n / 8], w.r[k / 16][m], fb[0], fb[1]);
                mma16816<T, !C::ASYNC>(acc[m][n / 8 + 1], w.r[k / 16][m], fb[2], fb[3]);
            }
        }
    }
}

template <typename C> __device__ __forceinline__ void scale_rows(float (&acc)[C::MT][C::DH / 8][4], float scale) {
#pragma unroll
    for (int m = 0; m < C::MT; m++) {
#pragma unroll
        for (int j = 0; j < C::DH / 8; j++) {
            acc[m][j][0] *= scale, acc[m][j][1] *= scale, acc[m][j][2] *= scale, acc[m][j][3] *= scale;
        }
    }
}

// Writes the warp's 16 * MT rows, the first of which is position t0, through `stage`: as many rows of a tile that only this
// warp has been reading. Positions from n on are left alone.
template <typename T, typename C>
__device__ __forceinline__ void store_rows(T * stage, T * out, int64_t out_ld, const float (&acc)[C::MT][C::DH / 8][4], int t0, int n, int lane) {
    constexpr int ld = tile<T, C::DH>::ld, packs = C::DH / 8;
    __syncwarp();
#pragma unroll
    for (int m = 0; m < C::MT; m++) {
        T * at = stage + (16 * m + lane / 4) * ld + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < packs; j++) {
            *reinterpret_cast<uint32_t *>(at + 8 * j)          = pack2<T>(acc[m][j][0], acc[m][j][1]);
            *reinterpret_cast<uint32_t *>(at + 8 * j + 8 * ld) = pack2<T>(acc[m][j][2], acc[m][j][3]);
        }
    }
    __syncwarp();
    for (int i = lane; i < 16 * C::MT * packs; i += 32) {
        const int r = i / packs, c = i % packs * 8;
        if (t0 + r < n) {
            store16(out + (t0 + r) * out_ld + c, load16(stage + r * ld + c));
        }
    }
}

enum class visible { none, some, all };

// What queries t0..t1 see of keys k0..k1; first0 and first1 are first_key of t0 and t1, INT_MAX beyond the last position.
__device__ __forceinline__ visible visibility(int t0, int t1, int first0, int first1, int k0, int k1) {
    if (k0 > t1 || k1 < first0) {
        return visible::none;
    }
    return k1 <= t0 && k0 >= first1 ? visible::all : visible::some;
}

// Sets scores of the warp's queries t0.. with keys k0.. to `value` where a query does not see the key; first holds the first
// key of each of the warp's queries.
template <typename C>
__device__ __forceinline__ void mask_keys(float (&s)[C::MT][C::STEP / 8][4], const int * first, int t0, int k0, int lane, float value) {
#pragma unroll
    for (int mt = 0; mt < C::MT; mt++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int r = 16 * mt + lane / 4 + 8 * i, lo = first[r] - k0, hi = t0 + r - k0;
#pragma unroll
            for (int j = 0; j < C::STEP / 8; j++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const int key = 8 * j + lane % 4 * 2 + e;
                    if (key < lo || key > hi) {
                        s[mt][j][2 * i + e] = value;
                    }
                }
            }
        }
    }
}

constexpr int RANKED_TILES = 256; // beyond, there are so many blocks that a plain order fills the device

// The number of tiles whose first query may see a key of tile i; first holds first_key of each tile's first position.
__device__ __forceinline__ int tiles_seeing(const int * first, int tiles, int i, int last_key) {
    int lo = i, hi = tiles - 1; // tile lo sees it
    while (lo < hi) {
        const int mid = (lo + hi + 1) / 2;
        if (first[mid] <= last_key) {
            lo = mid;
        } else {
            hi = mid - 1;
        }
    }
    return lo - i + 1;
}

// The tile that block blockIdx.y takes, in order of falling work, so that short ones fill the gaps at the end. KEYS: tiles
// are keys and work is the queries that see them; otherwise they are queries and work is the keys that they see. shared holds
// 2 * RANKED_TILES + 1 ints and is free again afterwards.
template <int ROWS, bool KEYS, typename T> __device__ __forceinline__ int ranked_tile(const attention_args<T> & p, int * shared) {
    const int tiles = gridDim.y, rank = blockIdx.y, n = (int) p.n;
    if (tiles > RANKED_TILES) {
        return KEYS ? rank : tiles - 1 - rank;
    }
    int *first = shared, *work = first + RANKED_TILES, *found = work + RANKED_TILES;
    for (int i = threadIdx.x; i < tiles; i += blockDim.x) {
        first[i] = p.first_key(i * ROWS);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < tiles; i += blockDim.x) {
        const int end = min((i + 1) * ROWS, n);
        work[i]       = KEYS ? tiles_seeing(first, tiles, i, end - 1) : end - first[i];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < tiles; i += blockDim.x) {
        const int mine   = work[i];
        int       before = 0;
        for (int j = 0; j < tiles; j++) {
            before += work[j] > mine || (work[j] == mine && j < i);
        }
        if (before == rank) {
            *found = i;
        }
    }
    __syncthreads();
    const int tile = *found;
    __syncthreads();
    return tile;
}
