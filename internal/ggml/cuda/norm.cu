// RMSNorm and its VJP, one block a row. Rows are those of a matrix or of [d, heads, n]. The residual stream may be F32 while
// normalised rows are 16-bit. N is the number of elements a thread moves at once.
#include "launch.cuh"

namespace {

// Where row i of a tensor lies, in elements.
struct row_map {
    int64_t heads, head_ld, ld;
    __device__ __forceinline__ int64_t at(int64_t i) const { return i / heads * ld + i % heads * head_ld; }
};

row_map rows_of(const ggml_tensor * t) {
    return t->ne[2] > 1 ? row_map{t->ne[1], (int64_t) (t->nb[1] / t->nb[0]), (int64_t) (t->nb[2] / t->nb[0])} : row_map{1, 0, row_stride(t)};
}

template <int N, typename X> __device__ float inverse_rms(const X * x, int64_t d, float eps, float * shared) {
    float s = 0;
    for (int64_t j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        const pack<X, N> v = load<N>(x + j);
#pragma unroll
        for (int i = 0; i < N; i++) {
            s += to_f32(v.v[i]) * to_f32(v.v[i]);
        }
    }
    return rsqrtf(block_sum(s, shared) / (float) d + eps);
}

template <int N, typename X, typename Y>
__global__ void norm_kernel(Y * y, const X * x, const float * w, int64_t d, row_map ym, row_map xm, float eps) {
    __shared__ float shared[33];
    x += xm.at(blockIdx.x);
    y += ym.at(blockIdx.x);
    const float r = inverse_rms<N>(x, d, eps, shared);
    for (int64_t j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        const pack<X, N>     v = load<N>(x + j);
        const pack<float, N> k = load<N>(w + j);
        pack<Y, N>           out;
#pragma unroll
        for (int i = 0; i < N; i++) {
            out.v[i] = from_f32<Y>(to_f32(v.v[i]) * r * k.v[i]);
        }
        store<N>(y + j, out);
    }
}

// With g = dy*w and r = 1/rms: dx = r*g - x * r^3 * mean(g*x).
template <int N, typename X, typename Y, typename D>
__global__ void norm_back_kernel(D * dx, const Y * dy, const X * x, const float * w, int64_t d, row_map dxm, row_map dym, row_map xm, float eps,
                                 bool accumulate) {
    __shared__ float shared[33];
    x += xm.at(blockIdx.x);
    dy += dym.at(blockIdx.x);
    dx += dxm.at(blockIdx.x);
    const float r = inverse_rms<N>(x, d, eps, shared);
    float       s = 0;
    for (int64_t j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        const pack<X, N>     v = load<N>(x + j);
        const pack<Y, N>     g = load<N>(dy + j);
        const pack<float, N> k = load<N>(w + j);
#pragma unroll
        for (int i = 0; i < N; i++) {
            s += to_f32(g.v[i]) * k.v[i] * to_f32(v.v[i]);
        }
    }
    const float c = block_sum(s, shared) * r * r * r / (float) d;
    for (int64_t j = threadIdx.x * N; j < d; j += blockDim.x * N) {
        const pack<X, N>     v = load<N>(x + j);
        const pack<Y, N>     g = load<N>(dy + j);
        const pack<float, N> k = load<N>(w + j);
        pack<D, N>           out;
        if (accumulate) {
            out = load<N>(dx + j);
        }
#pragma unroll
        for (int i = 0; i < N; i++) {
            const float step = r * to_f32(g.v[i]) * k.v[i] - c * to_f32(v.v[i]);
            out.v[i]         = from_f32<D>(accumulate ? to_f32(out.v[i]) + step : step);
        }
        store<N>(dx + j, out);
    }
}

// One block per 32 columns.
template <typename X, typename Y>
__global__ void norm_back_w_kernel(float * dw, const Y * dy, const X * x, const float * inv, int64_t d, int64_t n, row_map dym, row_map xm) {
    __shared__ float part[8][33];
    const int64_t    j = blockIdx.x * 32 + threadIdx.x;
    float            s = 0;
    for (int64_t t = threadIdx.y; t < n && j < d; t += 8) {
        s += to_f32(dy[dym.at(t) + j]) * to_f32(x[xm.at(t) + j]) * inv[t];
    }
    part[threadIdx.y][threadIdx.x] = s;
    __syncthreads();
    if (threadIdx.y == 0 && j < d) {
        for (int i = 1; i < 8; i++) {
            s += part[i][threadIdx.x];
        }
        dw[j] += s;
    }
}

template <typename X> __global__ void inverse_rms_kernel(float * inv, const X * x, int64_t d, row_map xm, float eps) {
    __shared__ float shared[33];
    const float      r = inverse_rms<1>(x + xm.at(blockIdx.x), d, eps, shared);
    if (threadIdx.x == 0) {
        inv[blockIdx.x] = r;
    }
}

int threads_for(int64_t d) {
    return d >= 1024 ? 256 : d >= 256 ? 128 : 32;
}

int rows_in(const ggml_tensor * t) {
    return (int) (t->ne[1] * t->ne[2]);
}

// Heads must be aligned as rows are.
template <typename F> cudaError_t with_row_packs(std::initializer_list<const ggml_tensor *> tensors, F && fn) {
    for (const ggml_tensor * t : tensors) {
        if (t->ne[2] > 1 && t->nb[2] % (4 * t->nb[0]) != 0) {
            return fn(std::integral_constant<int, 1>{});
        }
    }
    return with_packs<4>(tensors, fn);
}

} // namespace

cudaError_t qlora_cuda_norm(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *w = y->src[1];
    return with_type(x->type, [&](auto tx) {
        return with_type(y->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            return with_row_packs({x, y, w}, [&](auto n) {
                norm_kernel<n.value, X, Y><<<rows_in(x), threads_for(x->ne[0]), 0, l.stream>>>((Y *) y->data, (const X *) x->data, (const float *) w->data,
                                                                                              x->ne[0], rows_of(y), rows_of(x), op->fparam[0]);
                return cudaGetLastError();
            });
        });
    });
}

cudaError_t qlora_cuda_norm_back(ggml_tensor * dx, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *dy = dx->src[0], *x = dx->src[1], *w = dx->src[2];
    return with_type(x->type, [&](auto tx) {
        return with_type(dy->type, [&](auto ty) {
            return with_type(dx->type, [&](auto td) {
                using X = decltype(tx);
                using Y = decltype(ty);
                using D = decltype(td);
                return with_row_packs({x, dy, dx, w}, [&](auto n) {
                    norm_back_kernel<n.value, X, Y, D><<<rows_in(x), threads_for(x->ne[0]), 0, l.stream>>>(
                        (D *) dx->data, (const Y *) dy->data, (const X *) x->data, (const float *) w->data, x->ne[0], rows_of(dx), rows_of(dy), rows_of(x),
                        op->fparam[0], op->iparam[0] != 0);
                    return cudaGetLastError();
                });
            });
        });
    });
}

cudaError_t qlora_cuda_norm_back_w(ggml_tensor * dw, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *dy = dw->src[0], *x = dw->src[1], *scratch = dw->src[2];
    const int          rows = rows_in(x);
    if (scratch == nullptr || scratch->ne[0] < rows) {
        return cudaErrorInvalidValue;
    }
    float * inv = (float *) scratch->data;
    return with_type(x->type, [&](auto tx) {
        return with_type(dy->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            inverse_rms_kernel<X><<<rows, threads_for(x->ne[0]), 0, l.stream>>>(inv, (const X *) x->data, x->ne[0], rows_of(x), op->fparam[0]);
            norm_back_w_kernel<X, Y><<<blocks_for(x->ne[0], 32), dim3(32, 8), 0, l.stream>>>((float *) dw->data, (const Y *) dy->data, (const X *) x->data,
                                                                                          inv, x->ne[0], rows, rows_of(dy), rows_of(x));
            return cudaGetLastError();
        });
    });
}
