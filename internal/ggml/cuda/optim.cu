#include "launch.cuh"

namespace {

// AdamW as op_optim.c; one launch over the flat vectors.
__global__ void adamw_kernel(float * w, const float * g, float * m, float * v, const float * h, int64_t n) {
    const float b1 = h[1], b2 = h[2], eps = h[3], decay = 1.0f - h[0] * h[4], step = h[0] / h[5], root = 1.0f / h[6], clip = h[7];
    for (int64_t j = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; j < n; j += (int64_t) gridDim.x * blockDim.x) {
        const float gj = g[j] * clip;
        const float mj = b1 * m[j] + (1.0f - b1) * gj;
        const float vj = b2 * v[j] + (1.0f - b2) * gj * gj;
        m[j]           = mj;
        v[j]           = vj;
        w[j]           = w[j] * decay - step * mj / (sqrtf(vj) * root + eps);
    }
}

__global__ void sum_squares_kernel(float * out, const float * x, int64_t n) {
    __shared__ float shared[33];
    const int64_t    start = (int64_t) blockIdx.x * QLORA_CHUNK;
    float            s     = 0;
    for (int64_t j = start + threadIdx.x; j < start + QLORA_CHUNK && j < n; j += blockDim.x) {
        s += x[j] * x[j];
    }
    s = block_sum(s, shared);
    if (threadIdx.x == 0) {
        out[blockIdx.x] = s;
    }
}

} // namespace

cudaError_t qlora_cuda_adamw(ggml_tensor * w, const qlora_op *, const qlora_launch & l) {
    const int64_t n = w->ne[0] * w->ne[1];
    const int     blocks = blocks_for(n, 256);
    adamw_kernel<<<blocks < 4096 ? blocks : 4096, 256, 0, l.stream>>>((float *) w->data, (const float *) w->src[0]->data, (float *) w->src[1]->data,
                                                                     (float *) w->src[2]->data, (const float *) w->src[3]->data, n);
    return cudaGetLastError();
}

cudaError_t qlora_cuda_sum_squares(ggml_tensor * out, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor * x = out->src[0];
    sum_squares_kernel<<<(int) out->ne[0], 256, 0, l.stream>>>((float *) out->data, (const float *) x->data, x->ne[0] * x->ne[1]);
    return cudaGetLastError();
}
