#include "merge.h"

#include <stdlib.h>

#include "gemm.h"
#include "vec.h"

bool qlora_add_product(float * w, const float * b, const float * a, int64_t rows, int64_t rank, int64_t n_in) {
    float * scratch = malloc(qlora_gemm_scratch());
    if (scratch == NULL) {
        return false;
    }
    const struct qlora_gemm g = {
        .m = rows, .n = n_in, .k = rank,
        .a = b, .a_rs = rank, .a_cs = 1,
        .b = a, .b_type = GGML_TYPE_F32, .b_row = (size_t) n_in * sizeof(float),
        .c = w, .c_rs = n_in,
        .alpha = 1.0f, .accumulate = true,
    };
    qlora_gemm_part(&g, 0, rows, 0, n_in, scratch);
    free(scratch);
    return true;
}

// Sums run in sixteen float lanes over short stretches, and in double from one stretch to the next.
enum { STRETCH = 64 * QLORA_LANES };

// Sixteen lanes as one value: written as a loop over an array they end up in memory.
typedef float lanes __attribute__((vector_size(QLORA_LANES * sizeof(float)), aligned(4), may_alias));

// The sums over n values, a multiple of the lanes.
QLORA_INLINE void compare_stretch(const float * x, const float * y, int64_t n, double out[2]) {
    lanes difference = {0}, norm = {0};
    for (int64_t i = 0; i < n; i += QLORA_LANES) {
        const lanes v = *(const lanes *) (y + i), d = *(const lanes *) (x + i) - v;
        difference += d * d;
        norm += v * v;
    }
    for (int j = 0; j < QLORA_LANES; j++) {
        out[0] += difference[j];
        out[1] += norm[j];
    }
}

QLORA_CLONES void qlora_compare(const float * x, const float * y, int64_t n, double out[2]) {
    const int64_t whole = n / QLORA_LANES * QLORA_LANES;
    out[0] = out[1] = 0;
    for (int64_t i = 0; i < whole; i += STRETCH) {
        compare_stretch(x + i, y + i, whole - i < STRETCH ? whole - i : STRETCH, out);
    }
    for (int64_t i = whole; i < n; i++) {
        const double d = (double) x[i] - y[i];
        out[0] += d * d;
        out[1] += (double) y[i] * y[i];
    }
}

// By ggml's own conversions.
static void store_f16_portable(const float * x, uint16_t * dst, int64_t n, double out[2]) {
    out[0] = out[1] = 0;
    for (int64_t i = 0; i < n; i += STRETCH) {
        float         back[STRETCH];
        double        sums[2];
        const int64_t k = n - i < STRETCH ? n - i : STRETCH;
        ggml_quantize_chunk(GGML_TYPE_F16, x + i, dst + i, 0, 1, k, NULL);
        ggml_get_type_traits(GGML_TYPE_F16)->to_float(dst + i, back, k);
        qlora_compare(back, x + i, k, sums);
        out[0] += sums[0];
        out[1] += sums[1];
    }
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2,f16c,fma"))) static int64_t store_f16_avx2(const float * x, uint16_t * dst, int64_t n, double out[2]) {
    int64_t i = 0;
    out[0] = out[1] = 0;
    while (i + 8 <= n) {
        const int64_t end = i + STRETCH <= n ? i + STRETCH : n / 8 * 8;
        __m256        difference = _mm256_setzero_ps(), norm = _mm256_setzero_ps();
        for (; i < end; i += 8) {
            const __m256  v = _mm256_loadu_ps(x + i);
            const __m128i h = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
            const __m256  d = _mm256_sub_ps(_mm256_cvtph_ps(h), v);
            _mm_storeu_si128((__m128i *) (dst + i), h);
            difference = _mm256_fmadd_ps(d, d, difference);
            norm       = _mm256_fmadd_ps(v, v, norm);
        }
        float sums[2][8];
        _mm256_storeu_ps(sums[0], difference);
        _mm256_storeu_ps(sums[1], norm);
        for (int j = 0; j < 8; j++) {
            out[0] += sums[0][j];
            out[1] += sums[1][j];
        }
    }
    return i;
}
#endif

void qlora_store_f16(const float * x, uint16_t * dst, int64_t n, double out[2]) {
    int64_t done = 0;
    double  head[2] = {0, 0};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c") && __builtin_cpu_supports("fma")) {
        done = store_f16_avx2(x, dst, n, head);
    }
#endif
    store_f16_portable(x + done, dst + done, n - done, out);
    out[0] += head[0];
    out[1] += head[1];
}
