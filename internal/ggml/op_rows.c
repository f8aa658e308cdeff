// Operations that move whole rows: embedding look-up, gather and scatter.
#include "ops.h"
#include "vec.h"

void qlora_embed(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    const struct ggml_tensor * e      = dst->src[0];
    const int32_t *            tokens = dst->src[1]->data;
    const struct ggml_type_traits * traits = ggml_get_type_traits(e->type);
    int64_t                         lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const char * row = (const char *) e->data + (size_t) tokens[t] * e->nb[1];
        if (e->type == GGML_TYPE_F32) {
            memcpy(row_f32(dst, t), row, (size_t) dst->ne[0] * sizeof(float));
        } else {
            traits->to_float(row, row_f32(dst, t), dst->ne[0]);
        }
    }
}

// Threads share the columns: a token that occurs twice is added twice, always in the order of the batch.
void qlora_embed_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    const struct ggml_tensor * dy     = dst->src[0];
    const int32_t *            tokens = dst->src[1]->data;
    int64_t                    lo, hi;
    share(dst->ne[0], ith, nth, &lo, &hi);
    for (int64_t t = 0; t < dy->ne[1]; t++) {
        const float * g   = row_f32(dy, t);
        float *       out = row_f32(dst, tokens[t]);
        for (int64_t j = lo; j < hi; j++) {
            out[j] += g[j];
        }
    }
}

void qlora_gather(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    const int32_t * idx  = dst->src[1]->data;
    const size_t    size = (size_t) dst->ne[0] * sizeof(float);
    int64_t         lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t c = lo; c < hi; c++) {
        if (idx[c] < 0) {
            memset(row_f32(dst, c), 0, size);
        } else {
            memcpy(row_f32(dst, c), row_f32(dst->src[0], idx[c]), size);
        }
    }
}

void qlora_scatter(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    const struct ggml_tensor * x   = dst->src[0];
    const int32_t *            idx = dst->src[1]->data;
    int64_t                    lo, hi;
    share(x->ne[1], ith, nth, &lo, &hi);
    for (int64_t c = lo; c < hi; c++) {
        if (idx[c] < 0) {
            continue;
        }
        const float * in  = row_f32(x, c);
        float *       out = row_f32(dst, idx[c]);
        for (int64_t j = 0; j < x->ne[0]; j++) {
            out[j] += in[j];
        }
    }
}
