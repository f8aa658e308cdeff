// What the attention kernels share: their arguments and what each of them computes.
#pragma once
#include "common.cuh"

// Q, dO, O, dQ are [n, heads * dh]; K, V, dK, dV are [n, kv_heads * dh]; each *_ld is the number of elements from one row to
// the next, so that several may be column ranges of one buffer.
template <typename T> struct attention_args {
    const T *       q, *k, *v, *d_o;
    const int32_t * segments; // first token of the sample a position belongs to; never decreases
    T *             o, *dq, *dk, *dv;
    float *         lse, *delta; // at t * heads + head; lse is a natural logarithm
    int64_t         n, dh, heads, kv_heads, window;
    int64_t         q_ld, k_ld, v_ld, o_ld, do_ld, dq_ld, dk_ld, dv_ld;
    float           scale;
    // dK and dV of a group may be summed in so many parts, each by blocks of its own over some of the group's heads; parts
    // lies behind delta then: [2, n, kv_heads * splits * dh], dK first
    int             splits = 1;
    T *             parts  = nullptr;

    __device__ __forceinline__ int first_key(int t) const {
        const int start = segments[t];
        return window > 0 && t - (int) window + 1 > start ? t - (int) window + 1 : start;
    }
    // The last position that may see the key: the end of the key's sample, or of its window.
    __device__ __forceinline__ int last_query(int key) const {
        int lo = key, hi = (int) n - 1; // segments[lo] <= key always
        while (lo < hi) {
            const int mid = lo + (hi - lo + 1) / 2;
            if (segments[mid] <= key) {
                lo = mid;
            } else {
                hi = mid - 1;
            }
        }
        return window > 0 && window - 1 < lo - key ? key + (int) window - 1 : lo;
    }
};

// Which tiles the tensor-core kernels take. `automatic` asks the device; the others are for tests.
enum class attention_tiles { automatic, large, small, turing };

// delta = sum over the head of dO * O; the backward kernels below need it.
template <typename T> cudaError_t attention_delta(const attention_args<T> & p, cudaStream_t stream);

// Tensor cores: T is f16 or bf16, dh is 32, 64, 96 or 128, every row starts at a multiple of 16 bytes.
template <typename T> cudaError_t attention_tensor_forward(const attention_args<T> & p, attention_tiles tiles, cudaStream_t stream);
template <typename T> cudaError_t attention_tensor_backward_q(const attention_args<T> & p, attention_tiles tiles, cudaStream_t stream);
// Sets p.splits to what fills the device, or to one where the parts have no room in so many bytes.
template <typename T> cudaError_t attention_splits(attention_args<T> & p, size_t room);
template <typename T> cudaError_t attention_tensor_backward_kv(const attention_args<T> & p, attention_tiles tiles, cudaStream_t stream);

// Kernels without tensor cores, for F32 proofs and head sizes up to 256 that have no tile.
template <typename T> cudaError_t attention_plain_forward(const attention_args<T> & p, cudaStream_t stream);
template <typename T> cudaError_t attention_plain_backward(const attention_args<T> & p, cudaStream_t stream);
