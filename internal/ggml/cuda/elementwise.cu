// SwiGLU, sums and dropout: memory-bound, so each thread moves sixteen bytes at a time where rows allow it.
#include "launch.cuh"

namespace {

__device__ __forceinline__ float sigmoid(float x) {
    return 1.0f / (1.0f + __expf(-x));
}

template <typename T> __global__ void swiglu_kernel(T * y, const T * gate, const T * up, int64_t packs) {
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < packs; i += (int64_t) gridDim.x * blockDim.x) {
        const pack16<T> g = load16(gate + i * pack16<T>::n), u = load16(up + i * pack16<T>::n);
        pack16<T>       out;
#pragma unroll
        for (int j = 0; j < pack16<T>::n; j++) {
            const float x = to_f32(g.v[j]);
            out.v[j]      = from_f32<T>(x * sigmoid(x) * to_f32(u.v[j]));
        }
        store16(y + i * pack16<T>::n, out);
    }
}

template <typename T> __global__ void swiglu_back_kernel(T * dgate, T * dup, const T * dy, const T * gate, const T * up, int64_t packs) {
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < packs; i += (int64_t) gridDim.x * blockDim.x) {
        const pack16<T> d = load16(dy + i * pack16<T>::n), g = load16(gate + i * pack16<T>::n), u = load16(up + i * pack16<T>::n);
        pack16<T>       dg, du;
#pragma unroll
        for (int j = 0; j < pack16<T>::n; j++) {
            const float x = to_f32(g.v[j]), s = sigmoid(x), v = to_f32(d.v[j]);
            dg.v[j] = from_f32<T>(v * to_f32(u.v[j]) * s * (1.0f + x * (1.0f - s)));
            du.v[j] = from_f32<T>(v * x * s);
        }
        store16(dgate + i * pack16<T>::n, dg);
        store16(dup + i * pack16<T>::n, du);
    }
}

template <typename A, typename B, typename Y> __global__ void add_kernel(Y * y, const A * a, const B * b, int64_t n) {
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t) gridDim.x * blockDim.x) {
        y[i] = from_f32<Y>(to_f32(a[i]) + to_f32(b[i]));
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
__global__ void dropout_kernel(Y * y, const X * x, const uint32_t * seed, int64_t d, int32_t stream, uint32_t cutoff, float scale, bool accumulate) {
    const uint32_t key     = mix32(seed[0] ^ mix32(seed[1] ^ mix32((uint32_t) stream + 0x9e3779b9u)));
    const int64_t  t       = blockIdx.x;
    const uint32_t row_key = mix32(key + (uint32_t) t * 0x9e3779b9u);
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        const float v = mix32(row_key ^ (uint32_t) j) < cutoff ? 0.0f : to_f32(x[t * d + j]) * scale;
        y[t * d + j]  = from_f32<Y>(accumulate ? to_f32(y[t * d + j]) + v : v);
    }
}

constexpr int GRID = 4096, THREADS = 256;

int grid_for(int64_t n) {
    const int b = blocks_for(n, THREADS);
    return b < GRID ? b : GRID;
}

} // namespace

cudaError_t qlora_cuda_swiglu(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    return with_type(y->type, [&](auto t) {
        using T = decltype(t);
        const int64_t packs = y->ne[0] * y->ne[1] / pack16<T>::n;
        swiglu_kernel<T><<<grid_for(packs), THREADS, 0, l.stream>>>((T *) y->data, (const T *) y->src[0]->data, (const T *) y->src[1]->data, packs);
        return cudaGetLastError();
    });
}

cudaError_t qlora_cuda_swiglu_back(ggml_tensor * out, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor * dy = out->src[0];
    return with_type(dy->type, [&](auto t) {
        using T = decltype(t);
        const int64_t n = dy->ne[0] * dy->ne[1], packs = n / pack16<T>::n;
        swiglu_back_kernel<T><<<grid_for(packs), THREADS, 0, l.stream>>>((T *) out->data, (T *) out->data + n, (const T *) dy->data,
                                                                        (const T *) out->src[1]->data, (const T *) out->src[2]->data, packs);
        return cudaGetLastError();
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
                const int64_t n = y->ne[0] * y->ne[1];
                add_kernel<A, B, Y><<<grid_for(n), THREADS, 0, l.stream>>>((Y *) y->data, (const A *) a->data, (const B *) b->data, n);
                return cudaGetLastError();
            });
        });
    });
}

cudaError_t qlora_cuda_dropout(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *seed = y->src[1];
    const uint32_t     cutoff = (uint32_t) ((double) op->fparam[0] * 4294967296.0);
    return with_type(x->type, [&](auto tx) {
        return with_type(y->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            dropout_kernel<X, Y><<<(int) x->ne[1], THREADS, 0, l.stream>>>((Y *) y->data, (const X *) x->data, (const uint32_t *) seed->data, x->ne[0],
                                                                          op->iparam[0], cutoff, 1.0f / (1.0f - op->fparam[0]), op->iparam[1] != 0);
            return cudaGetLastError();
        });
    });
}
