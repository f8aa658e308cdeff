// Softmax cross-entropy over one chunk of positions, with integer labels. The logits are overwritten by their gradient,
// scale * (softmax - one_hot), and the losses in nats are written beside them; a label below zero has loss and gradient zero.
#include "ops.h"
#include "vec.h"

QLORA_INLINE void loss_row(float * x, int64_t n, int32_t label, float scale, int32_t gradient, float * loss) {
    if (label < 0) {
        *loss = 0.0f;
        memset(x, 0, (size_t) n * sizeof(float));
        return;
    }
    const float max    = vec_max(x, n);
    const float target = x[label] - max;
    const float sum    = exp_sum(x, n, max);
    *loss              = logf(sum) - target;
    if (!gradient) {
        return;
    }
    const float k = scale / sum;
    for (int64_t j = 0; j < n; j++) {
        x[j] *= k;
    }
    x[label] -= scale;
}

QLORA_CLONES
void qlora_loss(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const int32_t * labels = dst->src[0]->data;
    const float *   scale  = dst->src[1]->data;
    float *         losses = dst->src[2]->data;
    int64_t         lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t c = lo; c < hi; c++) {
        loss_row(row_f32(dst, c), dst->ne[0], labels[c], scale[0], op->iparam[0], losses + c);
    }
}
