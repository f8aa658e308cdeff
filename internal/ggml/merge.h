// The two inner loops of merging adapters into a weight that ggml does not have.
#pragma once
#include <stdbool.h>
#include <stdint.h>

// w[rows, n_in] += b[rows, rank] * a[rank, n_in]; all rows are contiguous. False when there is no memory for scratch.
bool qlora_add_product(float * w, const float * b, const float * a, int64_t rows, int64_t rank, int64_t n_in);
// out[0] = sum of (x-y)^2, out[1] = sum of y^2.
void qlora_compare(const float * x, const float * y, int64_t n, double out[2]);
