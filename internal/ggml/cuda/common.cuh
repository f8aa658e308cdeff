// Shared by every device operation: error handling, conversions, reductions, and the description of a launch.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "session.cuh"

extern "C" {
#include "../ops.h"
}

// An operation returns cudaSuccess or the first error of its launches; the caller names the node.
#define QL_TRY(expr)                        \
    do {                                    \
        const cudaError_t err_ = (expr);    \
        if (err_ != cudaSuccess) {          \
            return err_;                    \
        }                                   \
    } while (0)

template <typename T> __device__ __forceinline__ float to_f32(T x) {
    if constexpr (std::is_same_v<T, float>) {
        return x;
    } else if constexpr (std::is_same_v<T, __half>) {
        return __half2float(x);
    } else {
        return __bfloat162float(x);
    }
}

template <typename T> __device__ __forceinline__ T from_f32(float x) {
    if constexpr (std::is_same_v<T, float>) {
        return x;
    } else if constexpr (std::is_same_v<T, __half>) {
        return __float2half_rn(x);
    } else {
        return __float2bfloat16_rn(x);
    }
}

// N values of T, loaded and stored at once.
template <typename T, int N> struct alignas(sizeof(T) * N) pack {
    T v[N];
};

template <int N, typename T> __device__ __forceinline__ pack<T, N> load(const T * p) {
    return *reinterpret_cast<const pack<T, N> *>(p);
}

template <int N, typename T> __device__ __forceinline__ void store(T * p, const pack<T, N> & x) {
    *reinterpret_cast<pack<T, N> *>(p) = x;
}

// Sixteen bytes of T.
template <typename T> struct pack16 : pack<T, 16 / sizeof(T)> {
    static constexpr int n = 16 / sizeof(T);
};

template <typename T> __device__ __forceinline__ pack16<T> load16(const T * p) {
    return *reinterpret_cast<const pack16<T> *>(p);
}

template <typename T> __device__ __forceinline__ void store16(T * p, const pack16<T> & x) {
    *reinterpret_cast<pack16<T> *>(p) = x;
}

__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int o = 16; o > 0; o >>= 1) {
        x += __shfl_xor_sync(0xffffffffu, x, o);
    }
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int o = 16; o > 0; o >>= 1) {
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, o));
    }
    return x;
}

// Sum over the block in a fixed order; every thread gets it. shared holds at least 33 floats.
__device__ __forceinline__ float block_sum(float x, float * shared) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    x = warp_sum(x);
    __syncthreads();
    if (lane == 0) {
        shared[warp] = x;
    }
    __syncthreads();
    if (warp == 0) {
        const float y = warp_sum(lane < warps ? shared[lane] : 0.0f);
        if (lane == 0) {
            shared[32] = y;
        }
    }
    __syncthreads();
    return shared[32];
}

__device__ __forceinline__ float block_max(float x, float * shared) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0) {
        shared[warp] = x;
    }
    __syncthreads();
    if (warp == 0) {
        const float y = warp_max(lane < warps ? shared[lane] : -INFINITY);
        if (lane == 0) {
            shared[32] = y;
        }
    }
    __syncthreads();
    return shared[32];
}

inline int blocks_for(int64_t n, int per_block) {
    return (int) ((n + per_block - 1) / per_block);
}

// Calls fn with a value of the C++ type that stands for a ggml activation type.
template <typename F> cudaError_t with_type(int type, F && fn) {
    switch (type) {
        case GGML_TYPE_F32: return fn(float{});
        case GGML_TYPE_F16: return fn(__half{});
        case GGML_TYPE_BF16: return fn(__nv_bfloat16{});
        default: return cudaErrorInvalidValue;
    }
}

inline cudaDataType_t cuda_type(int type) {
    return type == GGML_TYPE_F32 ? CUDA_R_32F : type == GGML_TYPE_F16 ? CUDA_R_16F : CUDA_R_16BF;
}

typedef cudaError_t (*qlora_launch_fn)(struct ggml_tensor * dst, const struct qlora_op * op, const qlora_launch & l);

// Whether rows of all tensors can be read N elements at a time.
template <int N> bool in_packs(std::initializer_list<const struct ggml_tensor *> tensors) {
    for (const struct ggml_tensor * t : tensors) {
        const size_t size = N * t->nb[0];
        if (t->ne[0] % N != 0 || t->nb[1] % size != 0 || (uintptr_t) t->data % size != 0) {
            return false;
        }
    }
    return true;
}

// Calls fn with the number of elements a thread moves at once: N where all rows allow it, else 1.
template <int N, typename F> cudaError_t with_packs(std::initializer_list<const struct ggml_tensor *> tensors, F && fn) {
    return in_packs<N>(tensors) ? fn(std::integral_constant<int, N>{}) : fn(std::integral_constant<int, 1>{});
}

// rows of a matrix [d, n]: elements from one row to the next
inline int64_t row_stride(const struct ggml_tensor * t) {
    return (int64_t) (t->nb[1] / t->nb[0]);
}
