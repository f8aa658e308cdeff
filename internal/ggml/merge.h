// The inner loops of merging adapters into weights that ggml does not have, or has without vector instructions.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// w[rows, n_in] += b[rows, rank] * a[rank, n_in]; all rows are contiguous. False when there is no memory for scratch.
bool qlora_add_product(float * w, const float * b, const float * a, int64_t rows, int64_t rank, int64_t n_in);
// out[0] = sum of (x-y)^2, out[1] = sum of y^2.
void qlora_compare(const float * x, const float * y, int64_t n, double out[2]);
// dst[n] = x[n] as halves, rounded to nearest even; out[0] = sum of (dst-x)^2, out[1] = sum of x^2.
void qlora_store_f16(const float * x, uint16_t * dst, int64_t n, double out[2]);
