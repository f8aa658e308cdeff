// Causal attention inside the samples of a packed batch, in the manner of FlashAttention-2 (Dao 2023): no T x T matrix, the
// forward pass keeps O and the log-sum-exp, the backward pass computes the probabilities again. Position t attends to
// [first_key(t), t]. dK and dV are summed by the block that owns the keys and dQ by the one that owns the queries, so no
// atomics are needed and the result does not depend on scheduling.
#include "attention.cuh"
#include "launch.cuh"

#include <algorithm>

namespace {

// bf16 has no matrix instruction below sm_80: its kernels would compute nothing there.
template <typename T> cudaError_t check_device() {
    if constexpr (std::is_same_v<T, __nv_bfloat16>) {
        int device, major;
        QL_TRY(cudaGetDevice(&device));
        QL_TRY(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
        return major >= 8 ? cudaSuccess : cudaErrorNotSupported;
    }
    return cudaSuccess;
}

// Head sizes with a tensor-core kernel; others, and F32, take the plain one.
template <typename T> bool has_tiles(int64_t dh) {
    return sizeof(T) == 2 && dh % 32 == 0 && dh >= 32 && dh <= 128;
}

template <typename T> cudaError_t attention_forward(const attention_args<T> & p, cudaStream_t stream) {
    QL_TRY(check_device<T>());
    if constexpr (sizeof(T) == 2) {
        if (has_tiles<T>(p.dh)) {
            return attention_tensor_forward(p, attention_tiles::automatic, stream);
        }
    }
    return attention_plain_forward(p, stream);
}

template <typename T> cudaError_t attention_backward(const attention_args<T> & p, cudaStream_t stream) {
    QL_TRY(check_device<T>());
    QL_TRY(attention_delta(p, stream));
    if constexpr (sizeof(T) == 2) {
        if (has_tiles<T>(p.dh)) {
            QL_TRY(attention_tensor_backward_q(p, attention_tiles::automatic, stream));
            return attention_tensor_backward_kv(p, attention_tiles::automatic, stream);
        }
    }
    return attention_plain_backward(p, stream);
}

template <typename T> attention_args<T> args_of(const ggml_tensor * dst, const qlora_op * op, const ggml_tensor * segments) {
    const ggml_tensor *q = dst->src[0], *k = dst->src[1], *v = dst->src[2];
    attention_args<T>  p = {};
    p.q = (const T *) q->data, p.k = (const T *) k->data, p.v = (const T *) v->data;
    p.q_ld = row_stride(q), p.k_ld = row_stride(k), p.v_ld = row_stride(v);
    p.segments = (const int32_t *) segments->data;
    p.n = segments->ne[0], p.dh = op->iparam[0], p.heads = op->iparam[1], p.kv_heads = op->iparam[2], p.window = op->iparam[3];
    p.scale = op->fparam[0];
    return p;
}

template <typename T> void place_output(attention_args<T> & p, const ggml_tensor * o, const ggml_tensor * lse) {
    p.o    = (T *) o->data;
    p.o_ld = row_stride(o);
    p.lse  = (float *) lse->data;
}

// dQ, dK and dV are columns of one matrix.
template <typename T> void place_gradients(attention_args<T> & p, ggml_tensor * d) {
    p.dq    = (T *) d->data;
    p.dk    = p.dq + p.dh * p.heads;
    p.dv    = p.dk + p.dh * p.kv_heads;
    p.dq_ld = p.dk_ld = p.dv_ld = row_stride(d);
}

} // namespace

cudaError_t qlora_cuda_attn(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l) {
    return with_type(dst->type, [&](auto t) {
        attention_args<decltype(t)> p = args_of<decltype(t)>(dst, op, dst->src[3]);
        place_output(p, dst, dst->src[5]);
        return attention_forward(p, l.stream);
    });
}

cudaError_t qlora_cuda_attn_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *d_o = dst->src[4], *scratch = dst->src[6];
    return with_type(dst->type, [&](auto t) {
        using T             = decltype(t);
        attention_args<T> p = args_of<T>(dst, op, dst->src[5]);
        if (scratch == nullptr || scratch->ne[0] < p.n * p.heads) {
            return cudaErrorInvalidValue;
        }
        place_output(p, dst->src[3], dst->src[7]);
        place_gradients(p, dst);
        p.d_o   = (const T *) d_o->data;
        p.do_ld = row_stride(d_o);
        p.delta = (float *) scratch->data;
        if constexpr (sizeof(T) == 2) {
            const size_t used = ((size_t) (p.n * p.heads) * sizeof(float) + 255) / 256 * 256;
            p.parts = (T *) ((char *) scratch->data + used);
            QL_TRY(attention_splits(p, has_tiles<T>(p.dh) ? (size_t) scratch->ne[0] * sizeof(float) - std::min((size_t) scratch->ne[0] * sizeof(float), used) : 0));
        }
        return attention_backward(p, l.stream);
    });
}
