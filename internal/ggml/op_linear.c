#include "gemm.h"
#include "ops.h"
#include "vec.h"

// A weight or an F32 matrix as operand B of a product.
static struct qlora_gemm with_b(const struct ggml_tensor * b, bool transposed) {
    return (struct qlora_gemm){.b = b->data, .b_type = b->type, .b_row = b->nb[1], .b_transposed = transposed};
}

static void start_rows(struct ggml_tensor * dst, const struct ggml_tensor * init, int32_t mode, int64_t lo, int64_t hi) {
    for (int64_t t = lo; t < hi; t++) {
        memcpy(row_f32(dst, t), row_f32(init, mode == QLORA_INIT_BIAS ? 0 : t), (size_t) dst->ne[0] * sizeof(float));
    }
}

// Biases and residuals are written by the thread that multiplies into the same part; so these two modes split by rows.
static void linear_from(struct ggml_tensor * dst, const struct qlora_op * op, struct qlora_gemm * g, float * scratch, int ith, int nth) {
    int64_t lo, hi;
    share(g->m, ith, nth, &lo, &hi);
    start_rows(dst, dst->src[2], op->iparam[0], lo, hi);
    g->accumulate = true;
    qlora_gemm_part(g, lo, hi, 0, g->n, scratch);
}

void qlora_linear(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * w = dst->src[0];
    const struct ggml_tensor * x = dst->src[1];
    float *           scratch = thread_scratch(dst->src[3], ith, nth);
    struct qlora_gemm g       = with_b(w, true);
    g.m = x->ne[1], g.n = w->ne[1], g.k = w->ne[0];
    g.a = x->data, g.a_rs = (int64_t) (x->nb[1] / sizeof(float)), g.a_cs = 1;
    g.c = dst->data, g.c_rs = (int64_t) (dst->nb[1] / sizeof(float));
    g.alpha      = op->fparam[0];
    g.accumulate = op->iparam[0] == QLORA_INIT_ACCUMULATE;
    if (op->iparam[0] == QLORA_INIT_BIAS || op->iparam[0] == QLORA_INIT_RESIDUAL) {
        linear_from(dst, op, &g, scratch, ith, nth);
        return;
    }
    qlora_gemm_share(&g, ith, nth, scratch);
}

void qlora_linear_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * w  = dst->src[0];
    const struct ggml_tensor * dy = dst->src[1];
    struct qlora_gemm          g  = with_b(w, false);
    g.m = dy->ne[1], g.n = w->ne[0], g.k = w->ne[1];
    g.a = dy->data, g.a_rs = (int64_t) (dy->nb[1] / sizeof(float)), g.a_cs = 1;
    g.c = dst->data, g.c_rs = (int64_t) (dst->nb[1] / sizeof(float));
    g.alpha = op->fparam[0], g.accumulate = op->iparam[0] != 0;
    qlora_gemm_share(&g, ith, nth, thread_scratch(dst->src[2], ith, nth));
}

void qlora_outer(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * dy = dst->src[0];
    const struct ggml_tensor * x  = dst->src[1];
    struct qlora_gemm          g  = with_b(x, false);
    g.m = dy->ne[0], g.n = x->ne[0], g.k = x->ne[1];
    g.a = dy->data, g.a_rs = 1, g.a_cs = (int64_t) (dy->nb[1] / sizeof(float));
    g.c = dst->data, g.c_rs = (int64_t) (dst->nb[1] / sizeof(float));
    g.alpha = op->fparam[0], g.accumulate = true;
    qlora_gemm_share(&g, ith, nth, thread_scratch(dst->src[2], ith, nth));
}

QLORA_CLONES
void qlora_bias_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    const struct ggml_tensor * dy = dst->src[0];
    float *                    db = dst->data;
    int64_t                    lo, hi;
    share(dst->ne[0], ith, nth, &lo, &hi);
    for (int64_t t = 0; t < dy->ne[1]; t++) {
        const float * row = row_f32(dy, t);
        for (int64_t j = lo; j < hi; j++) {
            db[j] += row[j];
        }
    }
}
