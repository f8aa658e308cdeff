// Rotary position embedding (Su et al. 2021). Linear and YaRN scaling and per-dimension frequency factors are folded into
// the inverse frequencies by the caller, the YaRN magnitude into fparam[0]; angles are linear in the position.
#include "ops.h"
#include "vec.h"

void qlora_rope_table(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const int32_t * pos  = dst->src[0]->data;
    const float *   freq = dst->src[1]->data;
    const int64_t   half = dst->ne[0] / 2;
    int64_t         lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        float * row = row_f32(dst, t);
        for (int64_t i = 0; i < half; i++) {
            const float angle = (float) pos[t] * freq[i];
            row[i]            = cosf(angle) * op->fparam[0];
            row[half + i]     = sinf(angle) * op->fparam[0];
        }
    }
}

QLORA_INLINE void rotate_neox(const float * x, float * y, const float * c, const float * s, int64_t half, float sign) {
    for (int64_t i = 0; i < half; i++) {
        const float a = x[i], b = x[i + half];
        y[i]        = a * c[i] - b * s[i] * sign;
        y[i + half] = a * s[i] * sign + b * c[i];
    }
}

QLORA_INLINE void rotate_pairs(const float * x, float * y, const float * c, const float * s, int64_t half, float sign) {
    for (int64_t i = 0; i < half; i++) {
        const float a = x[2 * i], b = x[2 * i + 1];
        y[2 * i]     = a * c[i] - b * s[i] * sign;
        y[2 * i + 1] = a * s[i] * sign + b * c[i];
    }
}

// The transpose of a rotation is the rotation back, so the VJP is the same operation with the sine's sign turned.
QLORA_CLONES
void qlora_rope(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * x     = dst->src[0];
    const struct ggml_tensor * table = dst->src[1];
    const int64_t dh = op->iparam[0], half = table->ne[0] / 2;
    const float   sign = op->iparam[2] ? -1.0f : 1.0f;
    int64_t       lo, hi;
    share(x->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const float * c = row_f32(table, t);
        for (int64_t h = 0; h < x->ne[0]; h += dh) {
            const float * in  = row_f32(x, t) + h;
            float *       out = row_f32(dst, t) + h;
            if (op->iparam[1]) {
                rotate_neox(in, out, c, c + half, half, sign);
            } else {
                rotate_pairs(in, out, c, c + half, half, sign);
            }
            if (in != out && dh > 2 * half) {
                memcpy(out + 2 * half, in + 2 * half, (size_t) (dh - 2 * half) * sizeof(float));
            }
        }
    }
}
