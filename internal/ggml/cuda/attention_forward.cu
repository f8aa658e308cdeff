// Instances of attention_forward.cuh.
#include "attention_forward.cuh"
#include "attention_launch.cuh"

template <typename T> cudaError_t attention_tensor_forward(const attention_args<T> & p, attention_tiles tiles, cudaStream_t stream) {
    return attention_with_head_size(p.dh, [&](auto dh) {
        constexpr int DH = decltype(dh)::value;
        return attention_choose<forward_op, T, forward_large<DH>, forward_large<DH>, forward_turing<DH>>(p, tiles, stream);
    });
}

template cudaError_t attention_tensor_forward<__half>(const attention_args<__half> &, attention_tiles, cudaStream_t);
template cudaError_t attention_tensor_forward<__nv_bfloat16>(const attention_args<__nv_bfloat16> &, attention_tiles, cudaStream_t);
