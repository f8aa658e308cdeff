// The product that adapters need most: few columns, one pass over a long activation. Bound by reading X, which general
// matrix libraries do at a fraction of the memory's speed when the result is this narrow.
#pragma once
#include "gemm.cuh"

// Y[n x columns] = X[n x k] A[columns x k]^T for activations in 16 bits, rows of A contiguous; columns is a multiple of
// eight, and Y has zeros from there to `tail`. keep, where its data is not null, gets the columns without the zeros. `done` tells whether the shape and the device have a kernel.
cudaError_t qlora_skinny(const qlora_launch & l, int type, const qlora_matrix & x, const void * a, int64_t n, int64_t k, int64_t columns,
                         int64_t tail, const qlora_matrix & y, const qlora_matrix & keep, bool & done);
