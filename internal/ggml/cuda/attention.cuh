// What the attention kernels share.
#pragma once
#include "common.cuh"

template <typename T> struct attention_args {
    const T *       q, *k, *v, *d_o;
    const int32_t * segments; // first token of the sample a position belongs to; never decreases
    T *             o, *dq, *dk, *dv;
    float *         lse, *delta; // [heads, n]
    int64_t         n, dh, heads, kv_heads, window;
    int64_t         q_ld, k_ld, v_ld, o_ld, do_ld, dq_ld, dk_ld, dv_ld; // elements from one row to the next
    float           scale;

    __device__ __forceinline__ int64_t first_key(int64_t t) const {
        const int64_t start = segments[t];
        return window > 0 && t - window + 1 > start ? t - window + 1 : start;
    }
    // The last position that may see the key, or one after it: the end of the key's sample, or of its window.
    __device__ __forceinline__ int64_t last_query(int64_t key) const {
        int64_t lo = key, hi = n - 1; // segments[lo] <= key always
        while (lo < hi) {
            const int64_t mid = (lo + hi + 1) / 2;
            if (segments[mid] <= key) {
                lo = mid;
            } else {
                hi = mid - 1;
            }
        }
        return window > 0 && key + window - 1 < lo ? key + window - 1 : lo;
    }
};

// delta[head, t] = sum over the head of dO * O.
template <typename T> cudaError_t attention_delta(const attention_args<T> & p, cudaStream_t stream);
// Kernels without tensor cores, for F32 proofs and head sizes that have no tile.
template <typename T> cudaError_t attention_plain_forward(const attention_args<T> & p, cudaStream_t stream);
template <typename T> cudaError_t attention_plain_backward(const attention_args<T> & p, cudaStream_t stream);
