// Causal attention inside the samples of a packed batch, with grouped queries and an optional sliding window. Position t
// attends to segments[t]..t. Work is shared out as (sample, kv head) pairs; a tile of queries meets only the keys at or
// before its last row, so no T x T matrix exists. Forward and backward are those of FlashAttention (Dao et al. 2022).
#include "gemm.h"
#include "ops.h"
#include "vec.h"

enum { TILE = 48 };

struct attention {
    const float *   q, *k, *v;
    const int32_t * segments;
    int64_t         n, dh, heads, kv_heads, window;
    float           scale;
    int64_t         q_rs, k_rs, v_rs; // elements from one row to the next
    float *         gemm; // scratch of the products
    float *         s;    // scratch of scores, TILE x ld
    float *         ds;
    int64_t         ld;
};

size_t qlora_scratch_per_thread(int64_t length) {
    const size_t ld = (size_t) (length + QLORA_LANES) / QLORA_LANES * QLORA_LANES;
    return qlora_gemm_scratch() + 2 * TILE * ld * sizeof(float) + 1024;
}

static int64_t row_step(const struct ggml_tensor * t) {
    return (int64_t) (t->nb[1] / sizeof(float));
}

static struct attention attention_of(const struct ggml_tensor * dst, const struct qlora_op * op, const struct ggml_tensor * segments,
                                     const struct ggml_tensor * scratch, int ith, int nth) {
    struct attention a = {.q = dst->src[0]->data, .k = dst->src[1]->data, .v = dst->src[2]->data, .segments = segments->data};
    a.n = segments->ne[0], a.dh = op->iparam[0], a.heads = op->iparam[1], a.kv_heads = op->iparam[2], a.window = op->iparam[3];
    a.scale = op->fparam[0], a.q_rs = row_step(dst->src[0]), a.k_rs = row_step(dst->src[1]), a.v_rs = row_step(dst->src[2]);
    const size_t each = (size_t) scratch->ne[0] / (size_t) nth / QLORA_LANES * QLORA_LANES;
    a.gemm            = thread_scratch(scratch, ith, nth);
    a.s               = a.gemm + qlora_gemm_scratch() / sizeof(float);
    a.ld              = (int64_t) (each - qlora_gemm_scratch() / sizeof(float)) / (2 * TILE) / QLORA_LANES * QLORA_LANES;
    a.ds              = a.s + TILE * a.ld;
    return a;
}

// The first position after t that belongs to another sample.
static int64_t segment_end(const struct attention * a, int64_t t) {
    int64_t end = t + 1;
    while (end < a->n && a->segments[end] == a->segments[t]) {
        end++;
    }
    return end;
}

// The first key that query t sees.
static int64_t first_key(const struct attention * a, int64_t t) {
    const int64_t start = a->segments[t];
    return a->window > 0 && t - a->window + 1 > start ? t - a->window + 1 : start;
}

static void product(const struct attention * a, int64_t m, int64_t n, int64_t k, const float * x, int64_t x_rs, int64_t x_cs, const float * y,
                    int64_t y_rs, bool transposed, float * c, int64_t c_rs, float alpha, bool accumulate) {
    const struct qlora_gemm g = {.m = m, .n = n, .k = k, .a = x, .a_rs = x_rs, .a_cs = x_cs, .b = y, .b_type = GGML_TYPE_F32,
                                 .b_row = (size_t) y_rs * sizeof(float), .b_transposed = transposed, .c = c, .c_rs = c_rs,
                                 .alpha = alpha, .accumulate = accumulate};
    qlora_gemm_part(&g, 0, m, 0, n, a->gemm);
}

// Scores become probabilities: keys outside [first_key(t), t] become zero, lse gets max + ln(sum).
QLORA_CLONES
static void softmax_tile(const struct attention * a, int64_t q0, int64_t q1, int64_t k0, int64_t head, float * lse) {
    for (int64_t t = q0; t < q1; t++) {
        float *       row = a->s + (t - q0) * a->ld;
        const int64_t lo = first_key(a, t) - k0, hi = t + 1 - k0, end = q1 - k0;
        const float   max = vec_max(row + lo, hi - lo);
        const float   sum = exp_sum(row + lo, hi - lo, max);
        const float   inv = 1.0f / sum;
        for (int64_t j = lo; j < hi; j++) {
            row[j] *= inv;
        }
        memset(row, 0, (size_t) lo * sizeof(float));
        memset(row + hi, 0, (size_t) (end - hi) * sizeof(float));
        lse[t * a->heads + head] = max + logf(sum);
    }
}

static void forward_tile(const struct attention * a, int64_t head, int64_t kv, int64_t q0, int64_t q1, float * o, int64_t o_rs, float * lse) {
    const int64_t k0 = first_key(a, q0), keys = q1 - k0, rows = q1 - q0;
    product(a, rows, keys, a->dh, a->q + q0 * a->q_rs + head * a->dh, a->q_rs, 1, a->k + k0 * a->k_rs + kv * a->dh, a->k_rs, true,
            a->s, a->ld, a->scale, false);
    softmax_tile(a, q0, q1, k0, head, lse);
    product(a, rows, a->dh, keys, a->s, a->ld, 1, a->v + k0 * a->v_rs + kv * a->dh, a->v_rs, false,
            o + q0 * o_rs + head * a->dh, o_rs, 1.0f, false);
}

void qlora_attn(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct attention a = attention_of(dst, op, dst->src[3], dst->src[4], ith, nth);
    float * lse = dst->src[5]->data;
    const int64_t group = a.heads / a.kv_heads;
    int64_t       unit  = 0;
    for (int64_t s0 = 0, s1; s0 < a.n; s0 = s1) {
        s1 = segment_end(&a, s0);
        for (int64_t head = 0; head < a.heads; head++, unit++) {
            if (unit % nth != ith) {
                continue;
            }
            for (int64_t q0 = s0; q0 < s1; q0 += TILE) {
                forward_tile(&a, head, head / group, q0, q0 + TILE < s1 ? q0 + TILE : s1, dst->data, row_step(dst), lse);
            }
        }
    }
}

struct gradients {
    const float * o, *lse, *d_o;
    float *       dq, *dk, *dv;
    int64_t       o_rs, do_rs, d_rs; // dQ, dK and dV are columns of one matrix
};

// s: scores -> probabilities; ds: d(probabilities) -> scale * d(scores).
QLORA_CLONES
static void softmax_back_tile(const struct attention * a, const struct gradients * g, int64_t q0, int64_t q1, int64_t k0, int64_t head) {
    for (int64_t t = q0; t < q1; t++) {
        float *       p = a->s + (t - q0) * a->ld;
        float *       d = a->ds + (t - q0) * a->ld;
        const float   delta = dot(g->o + t * g->o_rs + head * a->dh, g->d_o + t * g->do_rs + head * a->dh, a->dh), lse = g->lse[t * a->heads + head];
        const int64_t lo = first_key(a, t) - k0, hi = t + 1 - k0, end = q1 - k0;
        for (int64_t j = lo; j < hi; j++) {
            p[j] = exp_f32(p[j] - lse);
            d[j] = p[j] * (d[j] - delta) * a->scale;
        }
        memset(p, 0, (size_t) lo * sizeof(float));
        memset(d, 0, (size_t) lo * sizeof(float));
        memset(p + hi, 0, (size_t) (end - hi) * sizeof(float));
        memset(d + hi, 0, (size_t) (end - hi) * sizeof(float));
    }
}

static void backward_tile(const struct attention * a, const struct gradients * g, int64_t head, int64_t kv, int64_t q0, int64_t q1) {
    const int64_t k0 = first_key(a, q0), keys = q1 - k0, rows = q1 - q0;
    const int64_t h = head * a->dh, d_at = k0 * g->d_rs + kv * a->dh;
    const float * q = a->q + q0 * a->q_rs + h, *k = a->k + k0 * a->k_rs + kv * a->dh, *v = a->v + k0 * a->v_rs + kv * a->dh;
    const float * d_o = g->d_o + q0 * g->do_rs + h;
    product(a, rows, keys, a->dh, q, a->q_rs, 1, k, a->k_rs, true, a->s, a->ld, a->scale, false);
    product(a, rows, keys, a->dh, d_o, g->do_rs, 1, v, a->v_rs, true, a->ds, a->ld, 1.0f, false);
    softmax_back_tile(a, g, q0, q1, k0, head);
    product(a, rows, a->dh, keys, a->ds, a->ld, 1, k, a->k_rs, false, g->dq + q0 * g->d_rs + h, g->d_rs, 1.0f, false);
    product(a, keys, a->dh, rows, a->ds, 1, a->ld, q, a->q_rs, false, g->dk + d_at, g->d_rs, 1.0f, true);
    product(a, keys, a->dh, rows, a->s, 1, a->ld, d_o, g->do_rs, false, g->dv + d_at, g->d_rs, 1.0f, true);
}

static void clear_head(const struct attention * a, const struct gradients * g, int64_t s0, int64_t s1, int64_t kv) {
    for (int64_t t = s0; t < s1; t++) {
        memset(g->dk + t * g->d_rs + kv * a->dh, 0, (size_t) a->dh * sizeof(float));
        memset(g->dv + t * g->d_rs + kv * a->dh, 0, (size_t) a->dh * sizeof(float));
    }
}

void qlora_attn_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct attention a = attention_of(dst, op, dst->src[5], dst->src[6], ith, nth);
    struct gradients g = {.o = dst->src[3]->data, .d_o = dst->src[4]->data, .dq = dst->data};
    g.lse = dst->src[7]->data, g.dk = g.dq + a.dh * a.heads, g.dv = g.dk + a.dh * a.kv_heads;
    g.o_rs = row_step(dst->src[3]), g.do_rs = row_step(dst->src[4]), g.d_rs = row_step(dst);
    const int64_t group = a.heads / a.kv_heads;
    int64_t       unit  = 0;
    for (int64_t s0 = 0, s1; s0 < a.n; s0 = s1) {
        s1 = segment_end(&a, s0);
        for (int64_t kv = 0; kv < a.kv_heads; kv++, unit++) {
            if (unit % nth != ith) {
                continue;
            }
            clear_head(&a, &g, s0, s1, kv);
            for (int64_t head = kv * group; head < (kv + 1) * group; head++) {
                for (int64_t q0 = s0; q0 < s1; q0 += TILE) {
                    backward_tile(&a, &g, head, kv, q0, q0 + TILE < s1 ? q0 + TILE : s1);
                }
            }
        }
    }
}
