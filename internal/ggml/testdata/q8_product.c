// Compares q8_product.c, compiled by itself, with a plain sum in double precision, and prints what differs: rows that fill
// no tile, columns that fill no group, rows longer than what is packed at a time, gaps between rows, several threads.
#include "q8_product.c"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int passed_on;

bool __real_llamafile_sgemm(const struct ggml_compute_params * params, int64_t m, int64_t n, int64_t k, const void * a, int64_t lda,
                            const void * b, int64_t ldb, void * c, int64_t ldc, int a_type, int b_type, int c_type) {
    passed_on++;
    return false;
}

static float half(uint16_t d) { // of positive normal numbers
    return ldexpf(1 + (d & 1023) / 1024.0f, (d >> 10) - 15);
}

static struct q8_block * blocks(int n) {
    struct q8_block * x = malloc(n * sizeof *x);
    for (int i = 0; i < n; i++) {
        x[i].d = 0x1c00 + rand() % 2048;
        for (int j = 0; j < 32; j++) {
            x[i].qs[j] = rand() % 20 ? rand() % 256 - 128 : 127;
        }
    }
    return x;
}

static void check(int m, int n, int k, int gap, int threads) {
    int lda = k + gap, ldb = k + 2 * gap, ldc = m + 3 * gap;
    struct q8_block * a = blocks(m * lda), * b = blocks(n * ldb);
    float * c = malloc(n * ldc * sizeof *c);
    for (int i = 0; i < n * ldc; i++) {
        c[i] = NAN;
    }
    for (int i = 0; i < threads; i++) {
        struct ggml_compute_params params = {.ith = i, .nth = threads};
        if (!__wrap_llamafile_sgemm(&params, m, n, k, a, lda, b, ldb, c, ldc, GGML_TYPE_Q8_0, GGML_TYPE_Q8_0, GGML_TYPE_F32)) {
            printf("%d %d %d: refused\n", m, n, k);
            return;
        }
    }
    double worst = 0;
    for (int j = 0; j < n; j++) {
        for (int i = 0; i < m; i++) {
            double want = 0, size = 0;
            for (int q = 0; q < k; q++) {
                const struct q8_block * x = a + i * lda + q, * y = b + j * ldb + q;
                int dot = 0;
                for (int e = 0; e < 32; e++) {
                    dot += x->qs[e] * y->qs[e];
                }
                want += (double) half(x->d) * half(y->d) * dot;
                size += (double) half(x->d) * half(y->d) * abs(dot);
            }
            double off = fabs(c[j * ldc + i] - want) / size;
            worst = off <= worst ? worst : off;
        }
        for (int i = m; i < ldc; i++) {
            if (!isnan(c[j * ldc + i])) {
                printf("%d %d %d: wrote between columns\n", m, n, k);
            }
        }
    }
    if (!(worst < 1e-6)) {
        printf("%d %d %d, gap %d, %d threads: off by %g\n", m, n, k, gap, threads, worst);
    }
    free(a), free(b), free(c);
}

int main(void) {
    if (!supported()) {
        puts("no AVX-512 VNNI");
        return 0;
    }
    srand(7);
    check(16, 8, 1, 0, 1);
    check(1, 2, 3, 1, 1);
    check(33, 9, 32, 0, 2);
    check(250, 31, 33, 3, 3);
    check(64, 65, 71, 0, 7);
    check(48, 130, 5, 2, 1);
    passed_on = 0;
    struct ggml_compute_params params = {.ith = 0, .nth = 1};
    __wrap_llamafile_sgemm(&params, 16, 1, 1, 0, 1, 0, 1, 0, 16, GGML_TYPE_Q8_0, GGML_TYPE_Q8_0, GGML_TYPE_F32);
    __wrap_llamafile_sgemm(&params, 16, 8, 1, 0, 1, 0, 1, 0, 16, GGML_TYPE_Q8_0, GGML_TYPE_F32, GGML_TYPE_F32);
    __wrap_llamafile_sgemm(&params, 16, 8, 1, 0, 1, 0, 1, 0, 16, GGML_TYPE_Q4_0, GGML_TYPE_Q8_0, GGML_TYPE_F32);
    if (passed_on != 3) {
        printf("%d of 3 products of other kinds were passed on\n", passed_on);
    }
    return 0;
}
