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
QLORA_CLONES void qlora_compare(const float * x, const float * y, int64_t n, double out[2]) {
    enum { STRETCH = 64 * QLORA_LANES };
    out[0] = out[1] = 0;
    for (int64_t i0 = 0; i0 < n; i0 += STRETCH) {
        const int64_t end = i0 + STRETCH < n ? i0 + STRETCH : n;
        float         difference[QLORA_LANES] = {0}, norm[QLORA_LANES] = {0};
        int64_t       i = i0;
        for (; i + QLORA_LANES <= end; i += QLORA_LANES) {
            for (int j = 0; j < QLORA_LANES; j++) {
                const float d = x[i + j] - y[i + j];
                difference[j] += d * d;
                norm[j] += y[i + j] * y[i + j];
            }
        }
        for (; i < end; i++) {
            const float d = x[i] - y[i];
            difference[i % QLORA_LANES] += d * d;
            norm[i % QLORA_LANES] += y[i] * y[i];
        }
        for (int j = 0; j < QLORA_LANES; j++) {
            out[0] += difference[j];
            out[1] += norm[j];
        }
    }
}
