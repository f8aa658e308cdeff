#include "gemm.h"

#include <string.h>

#include "ggml_pinned.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#define QL_NAME avx512
#define QL_VL 16
#define QL_MR 12
#include "gemm_kernel.inc"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define QL_NAME avx2
#define QL_VL 8
#define QL_MR 6
#include "gemm_kernel.inc"
#pragma GCC pop_options
#endif

#define QL_NAME portable
#define QL_VL 4
#define QL_MR 4
#include "gemm_kernel.inc"

typedef void (*micro_fn)(int64_t kc, const float * a, const float * b, float * c, int64_t c_rs, float alpha, bool accumulate);

struct kernel {
    const char * name;
    micro_fn     run;
    int          mr, nr;
};

static struct kernel choose_kernel(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
        return (struct kernel){"avx512", micro_avx512, 12, 32};
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return (struct kernel){"avx2", micro_avx2, 6, 16};
    }
#endif
    return (struct kernel){"portable", micro_portable, 4, 8};
}

static const struct kernel * kernel(void) {
    static struct kernel k;
    static int           ready; // 0 no, 1 being chosen, 2 yes
    if (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) == 2) {
        return &k;
    }
    int expected = 0;
    if (__atomic_compare_exchange_n(&ready, &expected, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        k = choose_kernel();
        __atomic_store_n(&ready, 2, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) != 2) {
    }
    return &k;
}

const char * qlora_gemm_kernel(void) {
    return kernel()->name;
}

enum {
    SCRATCH_A   = QLORA_MC * QLORA_KC,
    SCRATCH_B   = (QLORA_NC + QLORA_MAX_NR) * QLORA_KC,
    SCRATCH_ROW = QLORA_MAX_NR * QLORA_KC + QLORA_NC + 2 * QLORA_KC,
    SCRATCH_C   = QLORA_MAX_MR * QLORA_MAX_NR,
};

size_t qlora_gemm_scratch(void) {
    return sizeof(float) * (SCRATCH_A + SCRATCH_B + SCRATCH_ROW + SCRATCH_C);
}

static int64_t min64(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// Elements [i0, i0+n) of a matrix row as F32, in place when the matrix is F32, else in tmp (which has room for the
// quantisation blocks that straddle both ends).
static const float * row_segment(const struct qlora_gemm * g, int64_t row, int64_t i0, int64_t n, float * tmp) {
    const char * base = (const char *) g->b + (size_t) row * g->b_row;
    if (g->b_type == GGML_TYPE_F32) {
        return (const float *) base + i0;
    }
    const struct ggml_type_traits * traits = ggml_get_type_traits(g->b_type);
    const int64_t                   blck   = traits->blck_size;
    const int64_t                   first  = i0 / blck * blck;
    const int64_t                   end    = (i0 + n + blck - 1) / blck * blck;
    traits->to_float(base + (size_t) (first / blck) * traits->type_size, tmp, end - first);
    return tmp + (i0 - first);
}

// Packs B[k0..k0+kc, n0..n0+nc) whose matrix rows are B's rows: panel j holds kc rows of nr contiguous columns.
static void pack_b_rows(const struct qlora_gemm * g, int nr, int64_t k0, int64_t kc, int64_t n0, int64_t nc, float * dst, float * tmp) {
    for (int64_t p = 0; p < kc; p++) {
        const float * src = row_segment(g, k0 + p, n0, nc, tmp);
        for (int64_t j = 0; j < nc; j += nr) {
            float *       out = dst + j * kc + p * nr;
            const int64_t w   = min64(nr, nc - j);
            memcpy(out, src + j, (size_t) w * sizeof(float));
            if (w < nr) {
                memset(out + w, 0, (size_t) (nr - w) * sizeof(float));
            }
        }
    }
}

typedef float v4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int   i4 __attribute__((vector_size(16)));

// dst[p*nr + j] = src[j][p] for a 4 x 4 tile.
static inline void transpose4(const float * const * src, int64_t p, float * dst, int nr) {
    const v4 r0 = *(const v4 *) (src[0] + p), r1 = *(const v4 *) (src[1] + p);
    const v4 r2 = *(const v4 *) (src[2] + p), r3 = *(const v4 *) (src[3] + p);
    const v4 a  = __builtin_shuffle(r0, r1, (i4){0, 4, 1, 5}), b = __builtin_shuffle(r2, r3, (i4){0, 4, 1, 5});
    const v4 c  = __builtin_shuffle(r0, r1, (i4){2, 6, 3, 7}), d = __builtin_shuffle(r2, r3, (i4){2, 6, 3, 7});
    *(v4 *) (dst + 0 * nr) = __builtin_shuffle(a, b, (i4){0, 1, 4, 5});
    *(v4 *) (dst + 1 * nr) = __builtin_shuffle(a, b, (i4){2, 3, 6, 7});
    *(v4 *) (dst + 2 * nr) = __builtin_shuffle(c, d, (i4){0, 1, 4, 5});
    *(v4 *) (dst + 3 * nr) = __builtin_shuffle(c, d, (i4){2, 3, 6, 7});
}

// dst[p*ld + j] = src[j][p] for j < n, zero for n <= j < ld.
static void transpose_rows(const float * const * src, int64_t n, int64_t kc, float * dst, int ld) {
    for (int64_t j = 0; j < ld; j += 4) {
        if (j + 4 <= n) {
            int64_t p = 0;
            for (; p + 4 <= kc; p += 4) {
                transpose4(src + j, p, dst + p * ld + j, ld);
            }
            for (; p < kc; p++) {
                for (int q = 0; q < 4; q++) {
                    dst[p * ld + j + q] = src[j + q][p];
                }
            }
            continue;
        }
        for (int64_t p = 0; p < kc; p++) {
            for (int64_t q = j; q < min64(j + 4, ld); q++) {
                dst[p * ld + q] = q < n ? src[q][p] : 0.0f;
            }
        }
    }
}

// The same for a matrix whose rows are B's columns: each panel gathers nr rows and transposes them.
static void pack_b_columns(const struct qlora_gemm * g, int nr, int64_t k0, int64_t kc, int64_t n0, int64_t nc, float * dst, float * tmp) {
    for (int64_t j = 0; j < nc; j += nr) {
        const int64_t w = min64(nr, nc - j);
        const float * rows[QLORA_MAX_NR];
        for (int64_t q = 0; q < w; q++) {
            rows[q] = row_segment(g, n0 + j + q, k0, kc, tmp + q * QLORA_KC);
        }
        transpose_rows(rows, w, kc, dst + j * kc, nr);
    }
}

// Packs A[m0..m0+mc, k0..k0+kc) into tiles of mr rows, each [kc][mr], short tiles filled with zeros.
static void pack_a(const struct qlora_gemm * g, int mr, int64_t m0, int64_t mc, int64_t k0, int64_t kc, float * dst) {
    for (int64_t i = 0; i < mc; i += mr, dst += mr * kc) {
        const int64_t h   = min64(mr, mc - i);
        const float * src = g->a + (m0 + i) * g->a_rs + k0 * g->a_cs;
        if (g->a_cs == 1 && mr % 2 == 0 && mr != 6) {
            const float * rows[QLORA_MAX_MR];
            for (int64_t q = 0; q < h; q++) {
                rows[q] = src + q * g->a_rs;
            }
            transpose_rows(rows, h, kc, dst, mr);
            continue;
        }
        for (int64_t p = 0; p < kc; p++) {
            for (int64_t q = 0; q < mr; q++) {
                dst[p * mr + q] = q < h ? src[q * g->a_rs + p * g->a_cs] : 0.0f;
            }
        }
    }
}

// One tile at the edge of C: computed whole beside it, then only what exists is stored.
static void edge_tile(const struct kernel * k, int64_t kc, const float * a, const float * b, float * c, int64_t c_rs,
                      int64_t h, int64_t w, float alpha, bool accumulate, float * tile) {
    k->run(kc, a, b, tile, k->nr, alpha, false);
    for (int64_t i = 0; i < h; i++) {
        for (int64_t j = 0; j < w; j++) {
            float * out = c + i * c_rs + j;
            *out        = accumulate ? *out + tile[i * k->nr + j] : tile[i * k->nr + j];
        }
    }
}

static void macro_kernel(const struct kernel * k, int64_t mc, int64_t nc, int64_t kc, const float * a, const float * b,
                         float * c, int64_t c_rs, float alpha, bool accumulate, float * tile) {
    for (int64_t j = 0; j < nc; j += k->nr) {
        for (int64_t i = 0; i < mc; i += k->mr) {
            const int64_t h = min64(k->mr, mc - i), w = min64(k->nr, nc - j);
            float *       out = c + i * c_rs + j;
            if (h == k->mr && w == k->nr) {
                k->run(kc, a + i * kc, b + j * kc, out, c_rs, alpha, accumulate);
            } else {
                edge_tile(k, kc, a + i * kc, b + j * kc, out, c_rs, h, w, alpha, accumulate, tile);
            }
        }
    }
}

void qlora_gemm_part(const struct qlora_gemm * g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float * scratch) {
    const struct kernel * k    = kernel();
    float *               pa   = scratch;
    float *               pb   = pa + SCRATCH_A;
    float *               tmp  = pb + SCRATCH_B;
    float *               tile = tmp + SCRATCH_ROW;
    for (int64_t jc = n0; jc < n1; jc += QLORA_NC) {
        const int64_t nc = min64(QLORA_NC, n1 - jc);
        for (int64_t pc = 0; pc < g->k; pc += QLORA_KC) {
            const int64_t kc = min64(QLORA_KC, g->k - pc);
            if (g->b_transposed) {
                pack_b_columns(g, k->nr, pc, kc, jc, nc, pb, tmp);
            } else {
                pack_b_rows(g, k->nr, pc, kc, jc, nc, pb, tmp);
            }
            for (int64_t ic = m0; ic < m1; ic += QLORA_MC) {
                const int64_t mc = min64(QLORA_MC, m1 - ic);
                pack_a(g, k->mr, ic, mc, pc, kc, pa);
                macro_kernel(k, mc, nc, kc, pa, pb, g->c + ic * g->c_rs + jc, g->c_rs, g->alpha, g->accumulate || pc > 0, tile);
            }
        }
    }
}

void qlora_gemm_share(const struct qlora_gemm * g, int ith, int nth, float * scratch) {
    const struct kernel * k      = kernel();
    const int64_t         panels = (g->n + k->nr - 1) / k->nr;
    const int64_t         tiles  = (g->m + k->mr - 1) / k->mr;
    if (panels % nth == 0 || panels >= 8 * nth) {
        const int64_t n0 = panels * ith / nth * k->nr, n1 = min64(panels * (ith + 1) / nth * k->nr, g->n);
        qlora_gemm_part(g, 0, g->m, n0, n1, scratch);
        return;
    }
    const int64_t m0 = tiles * ith / nth * k->mr, m1 = min64(tiles * (ith + 1) / nth * k->mr, g->m);
    qlora_gemm_part(g, m0, m1, 0, g->n, scratch);
}
