#include "ops.h"
#include "vec.h"

QLORA_INLINE float sigmoid(float x) {
    return 1.0f / (1.0f + exp_f32(-x));
}

// SwiGLU (Shazeer 2020): y = gate * sigmoid(gate) * up.
QLORA_CLONES
void qlora_swiglu(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    int64_t lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const float * gate = row_f32(dst->src[0], t);
        const float * up   = row_f32(dst->src[1], t);
        float *       y    = row_f32(dst, t);
        for (int64_t j = 0; j < dst->ne[0]; j++) {
            y[j] = gate[j] * sigmoid(gate[j]) * up[j];
        }
    }
}

QLORA_CLONES
void qlora_swiglu_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    const struct ggml_tensor * dy = dst->src[0];
    const int64_t              d  = dy->ne[0];
    int64_t                    lo, hi;
    share(dy->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const float * g    = row_f32(dy, t);
        const float * gate = row_f32(dst->src[1], t);
        const float * up   = row_f32(dst->src[2], t);
        float *       dgate = row_f32(dst, t);
        float *       dup   = dgate + d;
        for (int64_t j = 0; j < d; j++) {
            const float s = sigmoid(gate[j]);
            dgate[j] = g[j] * up[j] * s * (1.0f + gate[j] * (1.0f - s));
            dup[j]   = g[j] * gate[j] * s;
        }
    }
}

QLORA_CLONES
void qlora_add(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    int64_t lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const float * a = row_f32(dst->src[0], t);
        const float * b = row_f32(dst->src[1], t);
        float *       y = row_f32(dst, t);
        for (int64_t j = 0; j < dst->ne[0]; j++) {
            y[j] = a[j] + b[j];
        }
    }
}

void qlora_copy(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    int64_t lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        memcpy(row_f32(dst, t), row_f32(dst->src[0], t), (size_t) dst->ne[0] * sizeof(float));
    }
}

void qlora_zero(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    (void) op;
    int64_t lo, hi;
    share(dst->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        memset(row_f32(dst, t), 0, (size_t) dst->ne[0] * sizeof(float));
    }
}

// A 32-bit mix with full avalanche (the finaliser of MurmurHash3).
QLORA_INLINE uint32_t mix32(uint32_t h) {
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    h ^= h >> 16;
    return h;
}

// The mask is a pure function of (seed, stream, element): the backward pass draws it again instead of storing it.
QLORA_CLONES
void qlora_dropout(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth) {
    const struct ggml_tensor * x    = dst->src[0];
    const uint32_t *           seed = dst->src[1]->data;
    const uint32_t key    = mix32(seed[0] ^ mix32(seed[1] ^ mix32((uint32_t) op->iparam[0] + 0x9e3779b9u)));
    const uint32_t cutoff = (uint32_t) ((double) op->fparam[0] * 4294967296.0);
    const float    scale  = 1.0f / (1.0f - op->fparam[0]);
    const int32_t  keep   = op->iparam[1];
    int64_t        lo, hi;
    share(x->ne[1], ith, nth, &lo, &hi);
    for (int64_t t = lo; t < hi; t++) {
        const float *  in      = row_f32(x, t);
        float *        out     = row_f32(dst, t);
        const uint32_t row_key = mix32(key + (uint32_t) t * 0x9e3779b9u);
        for (int64_t j = 0; j < x->ne[0]; j++) {
            const float y = mix32(row_key ^ (uint32_t) j) < cutoff ? 0.0f : in[j] * scale;
            out[j]        = keep ? out[j] + y : y;
        }
    }
}
