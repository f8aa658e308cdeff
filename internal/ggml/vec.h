// Small vector helpers shared by the CPU operations. Sums use sixteen running lanes, so that every instruction set adds
// in one order.
#pragma once
// cgo passes on no -f flags of this kind; without them square roots and comparisons do not vectorise.
#pragma GCC optimize("no-math-errno", "no-trapping-math")

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "ggml_pinned.h"

// Compiled for three x86-64 levels and chosen at load time, so that a plain `go build` is fast too.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define QLORA_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define QLORA_CLONES
#endif
#define QLORA_INLINE static inline __attribute__((always_inline))

enum { QLORA_LANES = 16 };

// The rows [*lo, *hi) of n that thread ith of nth works on.
QLORA_INLINE void share(int64_t n, int ith, int nth, int64_t * lo, int64_t * hi) {
    *lo = n * ith / nth;
    *hi = n * (ith + 1) / nth;
}

QLORA_INLINE float * row_f32(const struct ggml_tensor * t, int64_t i) {
    return (float *) ((char *) t->data + (size_t) i * t->nb[1]);
}

QLORA_INLINE float * thread_scratch(const struct ggml_tensor * t, int ith, int nth) {
    const size_t each = (size_t) t->ne[0] / (size_t) nth / QLORA_LANES * QLORA_LANES;
    return (float *) t->data + each * (size_t) ith;
}

QLORA_INLINE float lanes_sum(const float * acc) {
    float s = 0;
    for (int j = 0; j < QLORA_LANES; j++) {
        s += acc[j];
    }
    return s;
}

QLORA_INLINE float dot(const float * a, const float * b, int64_t n) {
    float   acc[QLORA_LANES] = {0};
    int64_t i = 0;
    for (; i + QLORA_LANES <= n; i += QLORA_LANES) {
        for (int j = 0; j < QLORA_LANES; j++) {
            acc[j] += a[i + j] * b[i + j];
        }
    }
    for (; i < n; i++) {
        acc[i % QLORA_LANES] += a[i] * b[i];
    }
    return lanes_sum(acc);
}

QLORA_INLINE float vec_max(const float * a, int64_t n) {
    float   acc[QLORA_LANES];
    int64_t i = 0;
    for (int j = 0; j < QLORA_LANES; j++) {
        acc[j] = a[0];
    }
    for (; i + QLORA_LANES <= n; i += QLORA_LANES) {
        for (int j = 0; j < QLORA_LANES; j++) {
            acc[j] = a[i + j] > acc[j] ? a[i + j] : acc[j];
        }
    }
    for (; i < n; i++) {
        acc[i % QLORA_LANES] = a[i] > acc[i % QLORA_LANES] ? a[i] : acc[i % QLORA_LANES];
    }
    float m = acc[0];
    for (int j = 1; j < QLORA_LANES; j++) {
        m = acc[j] > m ? acc[j] : m;
    }
    return m;
}

// exp(x) to about one unit in the last place: x = n ln 2 + r, a degree-6 polynomial in r (Cephes expf), scaled by 2^n.
// Arguments below -87 give 0, above 88 stay at exp(88).
QLORA_INLINE float exp_f32(float x) {
    const float in = x;
    x = x > 88.0f ? 88.0f : x;
    x = x < -87.0f ? -87.0f : x;
    const float magic = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
    const float t     = x * 1.44269504088896341f + magic;
    const float n     = t - magic;
    float       r     = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const int32_t bits = ((int32_t) n + 127) << 23;
    float         scale;
    memcpy(&scale, &bits, sizeof scale);
    return in < -87.0f ? 0.0f : p * scale;
}

// exp(x[i] - max) in place for i < n; returns the sum.
QLORA_INLINE float exp_sum(float * x, int64_t n, float max) {
    float   acc[QLORA_LANES] = {0};
    int64_t i = 0;
    for (; i + QLORA_LANES <= n; i += QLORA_LANES) {
        for (int j = 0; j < QLORA_LANES; j++) {
            const float e = exp_f32(x[i + j] - max);
            x[i + j]      = e;
            acc[j] += e;
        }
    }
    for (; i < n; i++) {
        x[i] = exp_f32(x[i] - max);
        acc[i % QLORA_LANES] += x[i];
    }
    return lanes_sum(acc);
}
