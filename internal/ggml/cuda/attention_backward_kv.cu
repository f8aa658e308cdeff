// Instances of attention_backward_kv.cuh.
#include "attention_backward_kv.cuh"
#include "attention_launch.cuh"

#include <algorithm>

// Adds the parts of dK (blockIdx.y 0) and dV in order, a block a token.
template <typename T> __global__ void add_parts_kernel(const attention_args<T> p) {
    const int64_t width = p.kv_heads * p.dh, ld = width * p.splits;
    const T *     from = p.parts + (blockIdx.y * p.n + blockIdx.x) * ld;
    T *           to   = blockIdx.y == 0 ? p.dk + blockIdx.x * p.dk_ld : p.dv + blockIdx.x * p.dv_ld;
    for (int i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
        const int dh  = (int) p.dh, at = i / dh * dh * p.splits + i % dh;
        float     sum[8] = {};
        for (int s = 0; s < p.splits; s++) {
            const pack<T, 8> part = load<8>(from + at + s * dh);
#pragma unroll
            for (int j = 0; j < 8; j++) {
                sum[j] += to_f32(part.v[j]);
            }
        }
        pack<T, 8> out;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            out.v[j] = from_f32<T>(sum[j]);
        }
        store<8>(to + i, out);
    }
}

template <typename T> cudaError_t attention_splits(attention_args<T> & p, size_t room) {
    int device, processors;
    QL_TRY(cudaGetDevice(&device));
    QL_TRY(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
    const int64_t rows = p.dh <= 64 ? 64 : 128, resident = p.dh <= 64 ? 2 : 1; // keys of a block, blocks at a time
    const int64_t blocks = (p.n + rows - 1) / rows * p.kv_heads, wanted = 4 * processors * resident;
    const int64_t parts  = std::min((wanted + blocks - 1) / blocks, p.heads / p.kv_heads);
    p.splits = parts > 1 && (size_t) (2 * p.n * p.kv_heads * parts * p.dh) * sizeof(T) <= room ? (int) parts : 1;
    return cudaSuccess;
}

template <typename T> cudaError_t attention_tensor_backward_kv(const attention_args<T> & p, attention_tiles tiles, cudaStream_t stream) {
    return attention_with_head_size(p.dh, [&](auto dh) {
        constexpr int DH = decltype(dh)::value;
        QL_TRY((attention_choose<backward_kv_op, T, backward_kv_large<DH>, backward_kv_small<DH>, backward_kv_turing<DH>>(p, tiles, stream)));
        if (p.splits > 1) {
            add_parts_kernel<T><<<dim3((unsigned) p.n, 2), 64, 0, stream>>>(p);
        }
        return cudaGetLastError();
    });
}

template cudaError_t attention_splits<__half>(attention_args<__half> &, size_t);
template cudaError_t attention_splits<__nv_bfloat16>(attention_args<__nv_bfloat16> &, size_t);
template cudaError_t attention_tensor_backward_kv<__half>(const attention_args<__half> &, attention_tiles, cudaStream_t);
template cudaError_t attention_tensor_backward_kv<__nv_bfloat16>(const attention_args<__nv_bfloat16> &, attention_tiles, cudaStream_t);
