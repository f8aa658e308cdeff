// Softmax cross-entropy, one block a position. Logits are F32; their gradient replaces them, in F32 or, for the 16-bit
// product that follows, packed as 16-bit values at the start of each row.
#include "launch.cuh"

namespace {

constexpr int THREADS = 512;

template <typename T>
__global__ void loss_kernel(float * logits, const int32_t * labels, const float * scale, float * losses, int64_t n, int64_t ld, bool gradient) {
    __shared__ float shared[33];
    float *          x     = logits + blockIdx.x * ld;
    T *              out   = reinterpret_cast<T *>(x);
    const int32_t    label = labels[blockIdx.x];
    if (label < 0) {
        for (int64_t j = threadIdx.x; j < n && gradient; j += THREADS) {
            out[j] = from_f32<T>(0.0f);
        }
        if (threadIdx.x == 0) {
            losses[blockIdx.x] = 0.0f;
        }
        return;
    }
    // one pass: every thread keeps its maximum and the sum of exponentials below it
    float m = -INFINITY, s = 0;
    for (int64_t j = threadIdx.x; j < n; j += THREADS) {
        const float v = x[j];
        if (v > m) {
            s = s * expf(m - v) + 1.0f;
            m = v;
        } else {
            s += expf(v - m);
        }
    }
    const float top = block_max(m, shared);
    s               = m == -INFINITY ? 0.0f : s * expf(m - top);
    m               = top;
    s = block_sum(s, shared);
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = logf(s) - (x[label] - m);
    }
    if (!gradient) {
        return;
    }
    const float k = scale[0] / s;
    // a 16-bit element j lands in bytes that F32 elements below j held: all threads read before any writes
    for (int64_t base = 0; base < n; base += THREADS) {
        const int64_t j = base + threadIdx.x;
        const float   g = j < n ? expf(x[j] - m) * k - (j == label ? scale[0] : 0.0f) : 0.0f;
        __syncthreads();
        if (j < n) {
            out[j] = from_f32<T>(g);
        }
    }
}

} // namespace

// iparam[1] is the type of the gradient.
cudaError_t qlora_cuda_loss(ggml_tensor * logits, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *labels = logits->src[0], *scale = logits->src[1], *losses = logits->src[2];
    return with_type(op->iparam[1], [&](auto t) {
        using T = decltype(t);
        loss_kernel<T><<<(int) logits->ne[1], THREADS, 0, l.stream>>>((float *) logits->data, (const int32_t *) labels->data, (const float *) scale->data,
                                                                     (float *) losses->data, logits->ne[0], row_stride(logits), op->iparam[0] != 0);
        return cudaGetLastError();
    });
}
