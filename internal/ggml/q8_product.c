#include "q8_product.h"

#include "ggml_pinned.h"

#ifdef __linux__
// struct ggml_compute_params of ggml's CPU backend begins with these two; nothing else of it is used here.
struct ggml_compute_params {
    int ith, nth;
};

bool __real_llamafile_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda,
                            const void * b, int64_t ldb, void * c, int64_t ldc, int a_type, int b_type, int c_type);

// What the linker puts in the place of llamafile_sgemm; see link.go. lda and ldb count blocks, ldc floats.
bool __wrap_llamafile_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda,
                            const void * b, int64_t ldb, void * c, int64_t ldc, int a_type, int b_type, int c_type) {
    if (a_type == GGML_TYPE_Q8_0 && b_type == GGML_TYPE_Q8_0 && c_type == GGML_TYPE_F32 && n > 1) {
        struct qlora_q8 p = {.m = m, .n = n, .k = k, .a = a, .lda = lda, .b = b, .ldb = ldb, .c = c, .ldc = ldc};
        if (qlora_q8_product(&p, params->ith, params->nth)) {
            return true;
        }
    }
    return __real_llamafile_sgemm(params, m, n, k, a, lda, b, ldb, c, ldc, a_type, b_type, c_type);
}
#endif

#if defined(__x86_64__)
#include <immintrin.h>

enum {
    ROWS    = 16, // of a tile: the floats of a register
    GROUP   = 8,  // columns that a tile meets at a time
    DEPTH   = 32, // blocks of a row that are packed together
    COLUMNS = 64, // whose sums and scales are kept meanwhile
    WORDS   = 8,  // groups of four weights in a block
};

// A tile of A as vpdpbusd wants it: the four bytes w of each row side by side, 128 added to make them unsigned.
struct tile {
    __m512i words[DEPTH][WORDS];
    __m512  scale[DEPTH];
};

// What is needed of each block of B beside its bytes: its scale, and what the 128 added to A makes of it.
struct column {
    float   scale[DEPTH];
    int32_t excess[DEPTH];
};

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")

// Four registers, each a row in both halves, become four, each a word of those rows.
static inline void transpose4(__m512i * r) {
    __m512i ab_lo = _mm512_unpacklo_epi32(r[0], r[1]), ab_hi = _mm512_unpackhi_epi32(r[0], r[1]);
    __m512i cd_lo = _mm512_unpacklo_epi32(r[2], r[3]), cd_hi = _mm512_unpackhi_epi32(r[2], r[3]);
    r[0] = _mm512_unpacklo_epi64(ab_lo, cd_lo);
    r[1] = _mm512_unpackhi_epi64(ab_lo, cd_lo);
    r[2] = _mm512_unpacklo_epi64(ab_hi, cd_hi);
    r[3] = _mm512_unpackhi_epi64(ab_hi, cd_hi);
}

static inline __m512i two_rows(const struct q8_block * x, const struct q8_block * y) {
    __m256i low = _mm256_loadu_si256((const __m256i *) x->qs), high = _mm256_loadu_si256((const __m256i *) y->qs);
    return _mm512_xor_si512(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1), _mm512_set1_epi8((char) 0x80));
}

// Packs one block of each of 16 rows.
static void pack_block(const struct q8_block * const * row, int64_t block, __m512i * words, __m512 * scale) {
    __m512i  low[4], high[4]; // rows 0 to 7 and 8 to 15
    uint16_t d[ROWS];
    for (int i = 0; i < 4; i++) {
        low[i]  = two_rows(row[i] + block, row[4 + i] + block);
        high[i] = two_rows(row[8 + i] + block, row[12 + i] + block);
    }
    for (int i = 0; i < ROWS; i++) {
        d[i] = row[i][block].d;
    }
    transpose4(low);
    transpose4(high);
    for (int i = 0; i < 4; i++) {
        words[i]     = _mm512_shuffle_i32x4(low[i], high[i], 0x88);
        words[4 + i] = _mm512_shuffle_i32x4(low[i], high[i], 0xdd);
    }
    *scale = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) d));
}

// Rows from row on, as many as there are: the last stands in for those after it.
static void pack_tile(const struct qlora_q8 * p, int64_t row, int64_t block, int64_t depth, struct tile * t) {
    const struct q8_block * rows[ROWS];
    for (int i = 0; i < ROWS; i++) {
        int64_t at = row + i < p->m ? row + i : p->m - 1;
        rows[i]    = p->a + at * p->lda + block;
    }
    for (int64_t i = 0; i < depth; i++) {
        pack_block(rows, i, t->words[i], &t->scale[i]);
    }
}

static void read_column(const struct q8_block * b, int64_t depth, struct column * c) {
    for (int64_t i = 0; i < depth; i++) {
        __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), _mm256_loadu_si256((const __m256i *) b[i].qs));
        __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        half         = _mm_hadd_epi32(half, half);
        half         = _mm_hadd_epi32(half, half);
        c->excess[i] = -128 * _mm_cvtsi128_si32(half);
        c->scale[i]  = _cvtsh_ss(b[i].d);
    }
}

static inline int32_t word(const struct q8_block * b, int w) {
    int32_t v;
    __builtin_memcpy(&v, b->qs + 4 * w, sizeof v);
    return v;
}

// Adds to n columns of C the product of a tile with them; the first blocks of a row replace what C held. Inlined where n is
// a constant, so that sum and dot are registers.
static inline __attribute__((always_inline)) void meet(const struct qlora_q8 * p, const struct tile * t, const struct column * columns,
                                                       int64_t row, int64_t col, int64_t block, int64_t depth, int n) {
    const struct q8_block * b = p->b + col * p->ldb + block;
    __m512                  sum[GROUP];
    for (int j = 0; j < n; j++) {
        sum[j] = _mm512_setzero_ps();
    }
    for (int64_t i = 0; i < depth; i++) {
        __m512i dot[GROUP];
        for (int j = 0; j < n; j++) {
            dot[j] = _mm512_set1_epi32(columns[j].excess[i]);
        }
        for (int w = 0; w < WORDS; w++) {
            for (int j = 0; j < n; j++) {
                dot[j] = _mm512_dpbusd_epi32(dot[j], t->words[i][w], _mm512_set1_epi32(word(b + j * p->ldb + i, w)));
            }
        }
        for (int j = 0; j < n; j++) {
            __m512 scale = _mm512_mul_ps(t->scale[i], _mm512_set1_ps(columns[j].scale[i]));
            sum[j]       = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[j]), scale, sum[j]);
        }
    }
    __mmask16 rows = p->m - row < ROWS ? (__mmask16) ((1u << (p->m - row)) - 1) : (__mmask16) 0xffff;
    for (int j = 0; j < n; j++) {
        float * c = p->c + (col + j) * p->ldc + row;
        if (block > 0) {
            sum[j] = _mm512_add_ps(sum[j], _mm512_maskz_loadu_ps(rows, c));
        }
        _mm512_mask_storeu_ps(c, rows, sum[j]);
    }
}

// The tiles [first,last) with at most COLUMNS columns and DEPTH blocks of each row.
static void product_part(const struct qlora_q8 * p, int64_t first, int64_t last, int64_t col, int64_t block) {
    struct column columns[COLUMNS];
    struct tile   tile;
    int64_t       depth = p->k - block < DEPTH ? p->k - block : DEPTH;
    int64_t       n     = p->n - col < COLUMNS ? p->n - col : COLUMNS;
    for (int64_t j = 0; j < n; j++) {
        read_column(p->b + (col + j) * p->ldb + block, depth, &columns[j]);
    }
    for (int64_t t = first; t < last; t++) {
        pack_tile(p, t * ROWS, block, depth, &tile);
        int64_t j = 0;
        for (; j + GROUP <= n; j += GROUP) {
            meet(p, &tile, columns + j, t * ROWS, col + j, block, depth, GROUP);
        }
        for (; j < n; j++) {
            meet(p, &tile, columns + j, t * ROWS, col + j, block, depth, 1);
        }
    }
}

#pragma GCC pop_options

static bool supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni");
}

bool qlora_q8_product(const struct qlora_q8 * p, int ith, int nth) {
    if (!supported()) {
        return false;
    }
    int64_t tiles = (p->m + ROWS - 1) / ROWS;
    int64_t first = tiles * ith / nth, last = tiles * (ith + 1) / nth;
    for (int64_t col = 0; col < p->n && first < last; col += COLUMNS) {
        for (int64_t block = 0; block < p->k; block += DEPTH) {
            product_part(p, first, last, col, block);
        }
    }
    return true;
}
#else
bool qlora_q8_product(const struct qlora_q8 * p, int ith, int nth) {
    (void) p, (void) ith, (void) nth;
    return false;
}
#endif
