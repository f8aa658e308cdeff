// Rotary positions: a table of cosines and sines per token, and the rotation of heads by it. The VJP turns the sine's sign.
#include "launch.cuh"

namespace {

__global__ void table_kernel(float * table, const int32_t * pos, const float * freq, int64_t half, int64_t n, float magnitude) {
    const int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= half * n) {
        return;
    }
    const int64_t t = i / half, k = i % half;
    float         s, c;
    sincosf((float) pos[t] * freq[k], &s, &c);
    table[t * 2 * half + k]        = c * magnitude;
    table[t * 2 * half + half + k] = s * magnitude;
}

template <typename T>
__global__ void rope_kernel(T * y, const T * x, const float * table, int64_t dh, int64_t half, int64_t heads, int64_t y_ld, int64_t x_ld, bool neox,
                            float sign) {
    const int64_t t = blockIdx.x;
    const float * c = table + t * 2 * half;
    y += t * y_ld, x += t * x_ld;
    for (int64_t i = threadIdx.x; i < heads * half; i += blockDim.x) {
        const int64_t head = i / half, k = i % half, at = head * dh;
        const int64_t p = at + (neox ? k : 2 * k), q = p + (neox ? half : 1);
        const float   a = to_f32(x[p]), b = to_f32(x[q]), s = c[half + k] * sign;
        y[p] = from_f32<T>(a * c[k] - b * s);
        y[q] = from_f32<T>(a * s + b * c[k]);
    }
    if (x != y) {
        for (int64_t i = threadIdx.x; i < heads * (dh - 2 * half); i += blockDim.x) {
            const int64_t at = i / (dh - 2 * half) * dh + 2 * half + i % (dh - 2 * half);
            y[at]            = x[at];
        }
    }
}

} // namespace

cudaError_t qlora_cuda_rope_table(ggml_tensor * table, const qlora_op * op, const qlora_launch & l) {
    const int64_t half = table->ne[0] / 2, n = table->ne[1];
    table_kernel<<<blocks_for(half * n, 256), 256, 0, l.stream>>>((float *) table->data, (const int32_t *) table->src[0]->data,
                                                                 (const float *) table->src[1]->data, half, n, op->fparam[0]);
    return cudaGetLastError();
}

cudaError_t qlora_cuda_rope(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *table = y->src[1];
    return with_type(x->type, [&](auto t) {
        using T = decltype(t);
        rope_kernel<T><<<(int) x->ne[1], 256, 0, l.stream>>>((T *) y->data, (const T *) x->data, (const float *) table->data, op->iparam[0],
                                                            table->ne[0] / 2, x->ne[0] / op->iparam[0], row_stride(y), row_stride(x), op->iparam[1] != 0,
                                                            op->iparam[2] ? -1.0f : 1.0f);
        return cudaGetLastError();
    });
}
