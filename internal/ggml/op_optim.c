#include "ops.h"
#include "vec.h"

// AdamW (Loshchilov & Hutter 2019), decoupled weight decay, as torch.optim.AdamW orders it.
// hyper: learning rate, beta1, beta2, eps, weight decay, 1 - beta1^t, sqrt(1 - beta2^t), gradient factor (clipping).
QLORA_CLONES
void qlora_adamw(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    float *       w = dst->data;
    const float * g = dst->src[0]->data;
    float *       m = dst->src[1]->data;
    float *       v = dst->src[2]->data;
    const float * h = dst->src[3]->data;
    const float b1 = h[1], b2 = h[2], eps = h[3], decay = 1.0f - h[0] * h[4], step = h[0] / h[5], root = 1.0f / h[6], clip = h[7];
    int64_t lo, hi;
    share(dst->ne[0], ith, nth, &lo, &hi);
    for (int64_t j = lo; j < hi; j++) {
        const float gj = g[j] * clip;
        m[j]           = b1 * m[j] + (1.0f - b1) * gj;
        v[j]           = b2 * v[j] + (1.0f - b2) * gj * gj;
        w[j]           = w[j] * decay - step * m[j] / (sqrtf(v[j]) * root + eps);
    }
}

// One partial sum a chunk, in double inside the chunk; the caller adds the chunks in order.
void qlora_sum_squares(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    const struct ggml_tensor * x   = dst->src[0];
    const float *              in  = x->data;
    float *                    out = dst->data;
    int64_t                    lo, hi;
    share(dst->ne[0], ith, nth, &lo, &hi);
    for (int64_t c = lo; c < hi; c++) {
        const int64_t end = (c + 1) * QLORA_CHUNK < x->ne[0] ? (c + 1) * QLORA_CHUNK : x->ne[0];
        double        s   = 0;
        for (int64_t j = c * QLORA_CHUNK; j < end; j++) {
            s += (double) in[j] * in[j];
        }
        out[c] = (float) s;
    }
}
