// Products with a weight: the weight is dequantised once into the scratch source, in the activations' type, and cuBLAS
// multiplies on tensor cores with F32 accumulation. ggml stores [in, out] with `in` contiguous, which cuBLAS reads as a
// column-major in x out matrix, so transposes are flags and never copies.
#include "dequant.cuh"
#include "launch.cuh"

namespace {

struct operand {
    const void *   data;
    cudaDataType_t type;
    int64_t        ld;
};

// The weight in the type of the activations, dequantised into scratch where it has another.
cudaError_t weight_operand(const ggml_tensor * w, const ggml_tensor * scratch, int type, const qlora_launch & l, operand & out) {
    if (w->type == type) {
        out = {w->data, cuda_type(type), row_stride(w)};
        return cudaSuccess;
    }
    const int64_t n = w->ne[0] * w->ne[1];
    const size_t  size = (size_t) n * (type == GGML_TYPE_F32 ? 4 : 2);
    if (scratch == nullptr || (size_t) scratch->ne[0] * scratch->nb[0] < size) {
        return cudaErrorInvalidValue;
    }
    out = {scratch->data, cuda_type(type), w->ne[0]};
    return qlora_dequantise(w->type, w->data, type, scratch->data, n, l.stream);
}

cudaError_t product(const qlora_launch & l, bool ta, bool tb, int64_t m, int64_t n, int64_t k, float alpha, const operand & a,
                    const operand & b, float beta, ggml_tensor * c) {
    QL_TRY_CUBLAS(cublasGemmEx(l.cublas, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, (int) m, (int) n, (int) k,
                               &alpha, a.data, a.type, (int) a.ld, b.data, b.type, (int) b.ld, &beta, c->data, cuda_type(c->type),
                               (int) row_stride(c), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT));
    return cudaSuccess;
}

operand activation(const ggml_tensor * x) {
    return {x->data, cuda_type(x->type), row_stride(x)};
}

template <typename T> __global__ void fill_rows(T * y, const float * bias, int64_t d, int64_t n) {
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < d * n; i += (int64_t) gridDim.x * blockDim.x) {
        y[i] = from_f32<T>(bias[i % d]);
    }
}

// Puts into y what the product is added to; beta tells the product whether anything is there.
cudaError_t initial(ggml_tensor * y, const ggml_tensor * init, int mode, const qlora_launch & l, float & beta) {
    beta = mode == QLORA_INIT_ZERO ? 0.0f : 1.0f;
    if (mode == QLORA_INIT_RESIDUAL) {
        return cudaMemcpyAsync(y->data, init->data, (size_t) (y->ne[1] * (int64_t) y->nb[1]), cudaMemcpyDeviceToDevice, l.stream);
    }
    if (mode == QLORA_INIT_BIAS) {
        return with_type(y->type, [&](auto t) {
            using T = decltype(t);
            fill_rows<T><<<1024, 256, 0, l.stream>>>((T *) y->data, (const float *) init->data, y->ne[0], y->ne[1]);
            return cudaGetLastError();
        });
    }
    return cudaSuccess;
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

cudaError_t qlora_cuda_linear(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *w = y->src[0], *x = y->src[1];
    operand            a;
    float              beta;
    QL_TRY(weight_operand(w, y->src[3], x->type, l, a));
    QL_TRY(initial(y, y->src[2], op->iparam[0], l, beta));
    return product(l, true, false, w->ne[1], x->ne[1], w->ne[0], op->fparam[0], a, activation(x), beta, y);
}

cudaError_t qlora_cuda_linear_back(ggml_tensor * dx, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *w = dx->src[0], *dy = dx->src[1];
    operand            a;
    QL_TRY(weight_operand(w, dx->src[2], dy->type, l, a));
    return product(l, false, false, w->ne[0], dy->ne[1], w->ne[1], op->fparam[0], a, activation(dy), op->iparam[0] ? 1.0f : 0.0f, dx);
}

cudaError_t qlora_cuda_outer(ggml_tensor * dw, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *dy = dw->src[0], *x = dw->src[1];
    return product(l, false, true, x->ne[0], dy->ne[0], x->ne[1], op->fparam[0], activation(x), activation(dy), 1.0f, dw);
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
