// RMSNorm and its VJP, one block a row. The residual stream may be F32 while normalised rows are 16-bit.
#include "launch.cuh"

namespace {

template <typename X> __device__ float inverse_rms(const X * x, int64_t d, float eps, float * shared) {
    float s = 0;
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        const float v = to_f32(x[j]);
        s += v * v;
    }
    return rsqrtf(block_sum(s, shared) / (float) d + eps);
}

template <typename X, typename Y>
__global__ void norm_kernel(Y * y, const X * x, const float * w, int64_t d, int64_t y_ld, int64_t x_ld, float eps) {
    __shared__ float shared[33];
    x += blockIdx.x * x_ld;
    y += blockIdx.x * y_ld;
    const float r = inverse_rms(x, d, eps, shared);
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        y[j] = from_f32<Y>(to_f32(x[j]) * r * w[j]);
    }
}

// With g = dy*w and r = 1/rms: dx = r*g - x * r^3 * mean(g*x).
template <typename X, typename Y, typename D>
__global__ void norm_back_kernel(D * dx, const Y * dy, const X * x, const float * w, int64_t d, int64_t dx_ld, int64_t dy_ld, int64_t x_ld,
                                 float eps, bool accumulate) {
    __shared__ float shared[33];
    x += blockIdx.x * x_ld;
    dy += blockIdx.x * dy_ld;
    dx += blockIdx.x * dx_ld;
    const float r = inverse_rms(x, d, eps, shared);
    float       s = 0;
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        s += to_f32(dy[j]) * w[j] * to_f32(x[j]);
    }
    const float c = block_sum(s, shared) * r * r * r / (float) d;
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        const float v = r * to_f32(dy[j]) * w[j] - c * to_f32(x[j]);
        dx[j]         = from_f32<D>(accumulate ? to_f32(dx[j]) + v : v);
    }
}

// One block per 32 columns; the rows' inverse rms are computed on the way by a second pass over x, which stays in cache.
template <typename X, typename Y>
__global__ void norm_back_w_kernel(float * dw, const Y * dy, const X * x, const float * inv, int64_t d, int64_t n, int64_t dy_ld, int64_t x_ld) {
    __shared__ float part[8][33];
    const int64_t    j = blockIdx.x * 32 + threadIdx.x;
    float            s = 0;
    for (int64_t t = threadIdx.y; t < n && j < d; t += 8) {
        s += to_f32(dy[t * dy_ld + j]) * to_f32(x[t * x_ld + j]) * inv[t];
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

template <typename X> __global__ void inverse_rms_kernel(float * inv, const X * x, int64_t d, int64_t ld, float eps) {
    __shared__ float shared[33];
    const float      r = inverse_rms(x + blockIdx.x * ld, d, eps, shared);
    if (threadIdx.x == 0) {
        inv[blockIdx.x] = r;
    }
}

int threads_for(int64_t d) {
    return d >= 1024 ? 256 : d >= 256 ? 128 : 32;
}

} // namespace

cudaError_t qlora_cuda_norm(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *w = y->src[1];
    return with_type(x->type, [&](auto tx) {
        return with_type(y->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            norm_kernel<X, Y><<<(int) x->ne[1], threads_for(x->ne[0]), 0, l.stream>>>((Y *) y->data, (const X *) x->data, (const float *) w->data,
                                                                                    x->ne[0], row_stride(y), row_stride(x), op->fparam[0]);
            return cudaGetLastError();
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
                norm_back_kernel<X, Y, D><<<(int) x->ne[1], threads_for(x->ne[0]), 0, l.stream>>>(
                    (D *) dx->data, (const Y *) dy->data, (const X *) x->data, (const float *) w->data, x->ne[0], row_stride(dx), row_stride(dy),
                    row_stride(x), op->fparam[0], op->iparam[0] != 0);
                return cudaGetLastError();
            });
        });
    });
}

cudaError_t qlora_cuda_norm_back_w(ggml_tensor * dw, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *dy = dw->src[0], *x = dw->src[1], *scratch = dw->src[2];
    if (scratch == nullptr || scratch->ne[0] < x->ne[1]) {
        return cudaErrorInvalidValue;
    }
    float * inv = (float *) scratch->data;
    return with_type(x->type, [&](auto tx) {
        return with_type(dy->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            inverse_rms_kernel<X><<<(int) x->ne[1], threads_for(x->ne[0]), 0, l.stream>>>(inv, (const X *) x->data, x->ne[0], row_stride(x), op->fparam[0]);
            norm_back_w_kernel<X, Y><<<blocks_for(x->ne[0], 32), dim3(32, 8), 0, l.stream>>>((float *) dw->data, (const Y *) dy->data, (const X *) x->data,
                                                                                          inv, x->ne[0], x->ne[1], row_stride(dy), row_stride(x));
            return cudaGetLastError();
        });
    });
}
