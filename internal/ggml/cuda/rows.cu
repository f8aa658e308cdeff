// Operations that move whole rows: embedding look-up, gather and scatter.
#include "dequant.cuh"
#include "launch.cuh"

namespace {

__global__ void gather_bytes(uint8_t * dst, const uint8_t * src, const int32_t * tokens, int64_t row) {
    const uint8_t * from = src + (int64_t) tokens[blockIdx.x] * row;
    uint8_t *       to   = dst + (int64_t) blockIdx.x * row;
    for (int64_t i = threadIdx.x; i < row / 2; i += blockDim.x) { // every block format is a whole number of 16-bit words
        reinterpret_cast<uint16_t *>(to)[i] = reinterpret_cast<const uint16_t *>(from)[i];
    }
}

// One block a column range of the embedding; tokens in batch order, so a token met twice is added twice in that order.
template <typename T> __global__ void embed_back_kernel(float * de, const T * dy, const int32_t * tokens, int64_t d, int64_t n) {
    const int64_t j = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t t = 0; t < n && j < d; t++) {
        de[(int64_t) tokens[t] * d + j] += to_f32(dy[t * d + j]);
    }
}

template <typename X, typename Y> __global__ void gather_kernel(Y * y, const X * x, const int32_t * idx, int64_t d) {
    const int32_t from = idx[blockIdx.x];
    for (int64_t j = threadIdx.x; j < d; j += blockDim.x) {
        y[blockIdx.x * d + j] = from_f32<Y>(from < 0 ? 0.0f : to_f32(x[from * d + j]));
    }
}

template <typename X, typename Y> __global__ void scatter_kernel(Y * y, const X * x, const int32_t * idx, int64_t d) {
    const int32_t to = idx[blockIdx.x];
    for (int64_t j = threadIdx.x; j < d && to >= 0; j += blockDim.x) {
        y[to * d + j] = from_f32<Y>(to_f32(y[to * d + j]) + to_f32(x[blockIdx.x * d + j]));
    }
}

} // namespace

cudaError_t qlora_cuda_embed(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor *e = y->src[0], *tokens = y->src[1], *scratch = y->src[2];
    const int64_t      n = y->ne[1];
    if (scratch == nullptr || (size_t) scratch->ne[0] * scratch->nb[0] < (size_t) n * e->nb[1]) {
        return cudaErrorInvalidValue;
    }
    gather_bytes<<<(int) n, 128, 0, l.stream>>>((uint8_t *) scratch->data, (const uint8_t *) e->data, (const int32_t *) tokens->data, (int64_t) e->nb[1]);
    QL_TRY(cudaGetLastError());
    return qlora_dequantise_rows(e, scratch->data, n, y->type, y->data, row_stride(y), l.stream);
}

cudaError_t qlora_cuda_embed_back(ggml_tensor * de, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor *dy = de->src[0], *tokens = de->src[1];
    return with_type(dy->type, [&](auto t) {
        using T = decltype(t);
        embed_back_kernel<T><<<blocks_for(dy->ne[0], 32), 32, 0, l.stream>>>((float *) de->data, (const T *) dy->data, (const int32_t *) tokens->data,
                                                                           dy->ne[0], dy->ne[1]);
        return cudaGetLastError();
    });
}

cudaError_t qlora_cuda_gather(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *idx = y->src[1];
    return with_type(x->type, [&](auto tx) {
        return with_type(y->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            gather_kernel<X, Y><<<(int) y->ne[1], 256, 0, l.stream>>>((Y *) y->data, (const X *) x->data, (const int32_t *) idx->data, y->ne[0]);
            return cudaGetLastError();
        });
    });
}

cudaError_t qlora_cuda_scatter(ggml_tensor * y, const qlora_op *, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *idx = y->src[1];
    return with_type(x->type, [&](auto tx) {
        return with_type(y->type, [&](auto ty) {
            using X = decltype(tx);
            using Y = decltype(ty);
            scatter_kernel<X, Y><<<(int) x->ne[1], 256, 0, l.stream>>>((Y *) y->data, (const X *) x->data, (const int32_t *) idx->data, y->ne[0]);
            return cudaGetLastError();
        });
    });
}
