// RMSNorm (Zhang & Sennrich 2019): y = x * w / sqrt(mean(x^2) + eps), row by row.
#include "ops.h"
#include "vec.h"

QLORA_INLINE float inverse_rms(const float * x, int64_t n, float eps) {
    return 1.0f / sqrtf(dot(x, x, n) / (float) n + eps);
}

// Row i of [d, heads, n], or of a matrix.
QLORA_INLINE float * head_row(const struct ggml_tensor * t, int64_t i) {
    return (float *) ((char *) t->data + (size_t) (i / t->ne[1]) * t->nb[2] + (size_t) (i % t->ne[1]) * t->nb[1]);
}

QLORA_CLONES
void qlora_norm(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * x = dst->src[0];
    const float *              w = dst->src[1]->data;
    const int64_t              d = x->ne[0];
    int64_t                    lo, hi;
    share(x->ne[1] * x->ne[2], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const float * in  = head_row(x, t);
        float *       out = head_row(dst, t);
        const float   r   = inverse_rms(in, d, op->fparam[0]);
        for (int64_t j = 0; j < d; j++) {
            out[j] = in[j] * r * w[j];
        }
    }
}

// With g = dy*w and r = 1/rms: dx = r*g - x * r^3 * mean(g*x).
QLORA_CLONES
void qlora_norm_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * dy = dst->src[0];
    const struct ggml_tensor * x  = dst->src[1];
    const float *              w  = dst->src[2]->data;
    const int64_t              d  = x->ne[0];
    int64_t                    lo, hi;
    share(x->ne[1] * x->ne[2], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const float * in = head_row(x, t);
        const float * g  = head_row(dy, t);
        float *       out = head_row(dst, t);
        const float   r   = inverse_rms(in, d, op->fparam[0]);
        float         acc[QLORA_LANES] = {0};
        for (int64_t j = 0; j < d; j++) {
            acc[j % QLORA_LANES] += g[j] * w[j] * in[j];
        }
        const float c    = lanes_sum(acc) * r * r * r / (float) d;
        const float keep = op->iparam[0] ? 1.0f : 0.0f;
        for (int64_t j = 0; j < d; j++) {
            const float before = keep != 0.0f ? out[j] : 0.0f;
            out[j]             = before + (r * g[j] * w[j] - c * in[j]);
        }
    }
}

// Threads share the columns; each recomputes the rms of every row, which is cheaper than a second pass.
QLORA_CLONES
void qlora_norm_back_w(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * dy = dst->src[0];
    const struct ggml_tensor * x  = dst->src[1];
    float *                    dw = dst->data;
    int64_t                    lo, hi;
    share(x->ne[0], ith, nth, &lo, &hi);
    for (int64_t t = 0; t < x->ne[1] * x->ne[2]; t++) {
        const float * in = head_row(x, t);
        const float * g  = head_row(dy, t);
        const float   r  = inverse_rms(in, x->ne[0], op->fparam[0]);
        for (int64_t j = lo; j < hi; j++) {
            dw[j] += g[j] * in[j] * r;
        }
    }
}
