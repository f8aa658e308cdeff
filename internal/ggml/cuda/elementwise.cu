// SwiGLU, sums and dropout: memory-bound, so each thread moves sixteen bytes at a time where rows allow it.
#include "launch.cuh"

namespace {

__device__ __forceinline__ float sigmoid(float x) {
    return 1.0f / (1.0f + __expf(-x));
}

// A block a row; every thread moves N elements at a time.
template <int N, typename T>
__global__ void swiglu_kernel(T * y, const T * gate, const T * up, int64_t d, int64_t y_ld, int64_t gate_ld, int64_t up_ld) {
    y += blockIdx.x * y_ld, gate += blockIdx.x * gate_ld, up += blockIdx.x * up_ld;
    for (int64_t i = threadIdx.x * N; i < d; i += blockDim.x * N) {
        const pack<T, N> g = load<N>(gate + i), u = load<N>(up + i);
        pack<T, N>       out;
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float x = to_f32(g.v[j]);
            out.v[j]      = from_f32<T>(x * sigmoid(x) * to_f32(u.v[j]));
        }
        store<N>(y + i, out);
    }
}

template <int N, typename T>
__global__ void swiglu_back_kernel(T * dst, const T * dy, const T * gate, const T * up, int64_t d, int64_t dst_ld, int64_t dy_ld, int64_t gate_ld,
                                   int64_t up_ld) {
    dst += blockIdx.x * dst_ld, dy += blockIdx.x * dy_ld, gate += blockIdx.x * gate_ld, up += blockIdx.x * up_ld;
    for (int64_t i = threadIdx.x * N; i < d; i += blockDim.x * N) {
        const pack<T, N> v = load<N>(dy + i), g = load<N>(gate + i), u = load<N>(up + i);
        pack<T, N>       dg, du;
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float x = to_f32(g.v[j]), s = sigmoid(x), c = to_f32(v.v[j]);
            dg.v[j] = from_f32<T>(c * to_f32(u.v[j]) * s * (1.0f + x * (1.0f - s)));
            du.v[j] = from_f32<T>(c * x * s);
        }
        store<N>(dst + i, dg);
        store<N>(dst + d + i, du);
    }
}

template <typename A, typename B, typename Y>
__global__ void add_kernel(Y * y, const A * a, const B * b, int64_t d, int64_t y_ld, int64_t a_ld, int64_t b_ld) {
    y += blockIdx.x * y_ld, a += blockIdx.x * a_ld, b += blockIdx.x * b_ld;
    for (int64_t i = threadIdx.x; i < d; i += blockDim.x) {
        y[i] = from_f32<Y>(to_f32(a[i]) + to_f32(b[i]));
    }
}

template <int N, typename X, typename Y> __global__ void copy_kernel(Y * y, const X * x, int64_t d, int64_t y_ld, int64_t x_ld) {
    y += blockIdx.x * y_ld, x += blockIdx.x * x_ld;
    for (int64_t i = threadIdx.x * N; i < d; i += blockDim.x * N) {
        const pack<X, N> in = load<N>(x + i);
        pack<Y, N>       out;
#pragma unroll
        for (int j = 0; j < N; j++) {
            out.v[j] = from_f32<Y>(to_f32(in.v[j]));
        }
        store<N>(y + i, out);
    }
}

__host__ __device__ inline uint32_t mix32(uint32_t h) {
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    h ^= h >> 16;
    return h;
}

// The mask of op_elementwise.c, bit for bit.
template <typename X, typename Y>
__global__ void dropout_kernel(Y * y, const X * x, const uint32_t * seed, int64_t d, int64_t y_ld, int64_t x_ld, int32_t stream, uint32_t cutoff,
                               float scale, bool accumulate) {
    const uint32_t key     = mix32(seed[0] ^ mix32(seed[1] ^ mix32((uint32_t) stream + 0x9e3779b9u)));
    const int64_t  t       = blockIdx.x;
    const uint32_t row_key = mix32(key + (uint32_t) t * 0x9e3779b9u);
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        const float v   = mix32(row_key ^ (uint32_t) j) < cutoff ? 0.0f : to_f32(x[t * x_ld + j]) * scale;
        y[t * y_ld + j] = from_f32<Y>(accumulate ? to_f32(y[t * y_ld + j]) + v : v);
    }
}

constexpr int THREADS = 256;

} // namespace

cudaError_t qlora_cuda_swiglu(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor *gate = y->src[0], *up = y->src[1];
    return with_type(y->type, [&](auto t) {
        using T = decltype(t);
        return with_packs<16 / sizeof(T)>({y, gate, up}, [&](auto n) {
            swiglu_kernel<n.value, T><<<(int) y->ne[1], THREADS, 0, l.stream>>>((T *) y->data, (const T *) gate->data, (const T *) up->data, y->ne[0],
                                                                               row_stride(y), row_stride(gate), row_stride(up));
            return cudaGetLastError();
        });
    });
}

cudaError_t qlora_cuda_swiglu_back(ggml_tensor * out, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor *dy = out->src[0], *gate = out->src[1], *up = out->src[2];
    return with_type(dy->type, [&](auto t) {
        using T = decltype(t);
        return with_packs<16 / sizeof(T)>({out, dy, gate, up}, [&](auto n) {
            swiglu_back_kernel<n.value, T><<<(int) dy->ne[1], THREADS, 0, l.stream>>>((T *) out->data, (const T *) dy->data, (const T *) gate->data,
                                                                                     (const T *) up->data, dy->ne[0], row_stride(out), row_stride(dy),
                                                                                     row_stride(gate), row_stride(up));
            return cudaGetLastError();
        });
    });
}

cudaError_t qlora_cuda_add(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor *a = y->src[0], *b = y->src[1];
    return with_type(a->type, [&](auto ta) {
        return with_type(b->type, [&](auto tb) {
            return with_type(y->type, [&](auto ty) {
                using A = decltype(ta);
                using B = decltype(tb);
                using Y = decltype(ty);
                add_kernel<A, B, Y><<<(int) y->ne[1], THREADS, 0, l.stream>>>((Y *) y->data, (const A *) a->data, (const B *) b->data, y->ne[0],
                                                                             row_stride(y), row_stride(a), row_stride(b));
                return cudaGetLastError();
            });
        });
    });
}

cudaError_t qlora_cuda_copy(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor * x = y->src[0];
    return with_type(x->type, [&](auto tx) {
        return with_type(y->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            return with_packs<4>({x, y}, [&](auto n) {
                copy_kernel<n.value, X, Y><<<(int) y->ne[1], y->ne[0] < 4 * THREADS ? 32 : THREADS, 0, l.stream>>>(
                    (Y *) y->data, (const X *) x->data, y->ne[0], row_stride(y), row_stride(x));
                return cudaGetLastError();
            });
        });
    });
}

cudaError_t qlora_cuda_zero(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    return cudaMemset2DAsync(y->data, y->nb[1], 0, (size_t) y->ne[0] * y->nb[0], (size_t) y->ne[1], l.stream);
}

cudaError_t qlora_cuda_dropout(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *seed = y->src[1];
    const uint32_t     cutoff = (uint32_t) ((double) op->fparam[0] * 4294967296.0);
    return with_type(x->type, [&](auto tx) {
        return with_type(y->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            dropout_kernel<X, Y><<<(int) x->ne[1], THREADS, 0, l.stream>>>((Y *) y->data, (const X *) x->data, (const uint32_t *) seed->data, x->ne[0],
                                                                          row_stride(y), row_stride(x), op->iparam[0], cutoff,
                                                                          1.0f / (1.0f - op->fparam[0]), op->iparam[1] != 0);
            return cudaGetLastError();
        });
    });
}
