// Products with one weight: it is dequantised once into the scratch source, in the activations' type, and multiplied on
// tensor cores with F32 sums.
#include "dequant.cuh"
#include "gemm.cuh"
#include "launch.cuh"
#include "initial.cuh"

namespace {

// The weight in the type of the activations, dequantised into scratch where it has another.
cudaError_t weight_operand(const ggml_tensor * w, const ggml_tensor * scratch, int type, const qlora_launch & l, qlora_matrix & out) {
    if (w->type == type) {
        out = matrix_of(w);
        return cudaSuccess;
    }
    const int64_t n = w->ne[0] * w->ne[1];
    const size_t  size = (size_t) n * (type == GGML_TYPE_F32 ? 4 : 2);
    if (scratch == nullptr || (size_t) scratch->ne[0] * scratch->nb[0] < size) {
        return cudaErrorInvalidValue;
    }
    out = {scratch->data, cuda_type(type), w->ne[0]};
    return qlora_dequantise(w, type, scratch->data, w->ne[0], l.stream);
}

template <typename T> __global__ void fill_rows(T * y, const float * bias, int64_t d, int64_t ld) {
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        y[blockIdx.x * ld + j] = from_f32<T>(bias[j]);
    }
}

template <typename T> __global__ void bias_back_kernel(float * db, const T * dy, int64_t d, int64_t n, int64_t ld) {
    __shared__ float part[8][33];
    const int64_t    j   = blockIdx.x * 32 + threadIdx.x;
    float            sum = 0;
    for (int64_t t = threadIdx.y; t < n && j < d; t += 8) {
        sum += to_f32(dy[t * ld + j]);
    }
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && j < d) {
        for (int i = 1; i < 8; i++) {
            sum += part[i][threadIdx.x];
        }
        db[j] += sum;
    }
}

} // namespace

// What the product is added to: beta, and where C is.
cudaError_t qlora_initial(ggml_tensor * y, const ggml_tensor * init, int mode, const qlora_launch & l, float & beta, qlora_matrix & c) {
    beta = mode == QLORA_INIT_ZERO ? 0.0f : 1.0f;
    c    = matrix_of(mode == QLORA_INIT_RESIDUAL ? init : y);
    if (mode != QLORA_INIT_BIAS) {
        return cudaSuccess;
    }
    return with_type(y->type, [&](auto t) {
        using T = decltype(t);
        fill_rows<T><<<(int) y->ne[1], 256, 0, l.stream>>>((T *) y->data, (const float *) init->data, y->ne[0], row_stride(y));
        return cudaGetLastError();
    });
}

cudaError_t qlora_cuda_linear(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *w = y->src[0], *x = y->src[1];
    qlora_matrix       a, c;
    float              beta;
    QL_TRY(weight_operand(w, y->src[3], x->type, l, a));
    QL_TRY(qlora_initial(y, y->src[2], op->iparam[0], l, beta, c));
    return qlora_gemm(l, true, false, w->ne[1], x->ne[1], w->ne[0], op->fparam[0], a, matrix_of(x), beta, c, matrix_of(y));
}

cudaError_t qlora_cuda_linear_back(ggml_tensor * dx, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *w = dx->src[0], *dy = dx->src[1];
    qlora_matrix       a;
    QL_TRY(weight_operand(w, dx->src[2], dy->type, l, a));
    const qlora_matrix d = matrix_of(dx);
    return qlora_gemm(l, false, false, w->ne[0], dy->ne[1], w->ne[1], op->fparam[0], a, matrix_of(dy), op->iparam[0] ? 1.0f : 0.0f, d, d);
}

cudaError_t qlora_cuda_outer(ggml_tensor * dw, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *dy = dw->src[0], *x = dw->src[1];
    const qlora_matrix d = matrix_of(dw);
    return qlora_gemm(l, false, true, x->ne[0], dy->ne[0], x->ne[1], op->fparam[0], matrix_of(x), matrix_of(dy), 1.0f, d, d);
}

cudaError_t qlora_cuda_bias_back(ggml_tensor * db, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor * dy = db->src[0];
    return with_type(dy->type, [&](auto t) {
        using T = decltype(t);
        bias_back_kernel<T><<<blocks_for(dy->ne[0], 32), dim3(32, 8), 0, l.stream>>>((float *) db->data, (const T *) dy->data, dy->ne[0],
                                                                                    dy->ne[1], row_stride(dy));
        return cudaGetLastError();
    });
}
