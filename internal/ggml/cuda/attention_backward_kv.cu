// Instances of attention_backward_kv.cuh.
#include "attention_backward_kv.cuh"
#include "attention_launch.cuh"

template <typename T> cudaError_t attention_tensor_backward_kv(const attention_args<T> & p, attention_tiles tiles, cudaStream_t stream) {
    return attention_with_head_size(p.dh, [&](auto dh) {
        constexpr int DH = decltype(dh)::value;
        return attention_choose<backward_kv_op, T, backward_kv_large<DH>, backward_kv_small<DH>, backward_kv_turing<DH>>(p, tiles, stream);
    });
}

template cudaError_t attention_tensor_backward_kv<__half>(const attention_args<__half> &, attention_tiles, cudaStream_t);
template cudaError_t attention_tensor_backward_kv<__nv_bfloat16>(const attention_args<__nv_bfloat16> &, attention_tiles, cudaStream_t);
