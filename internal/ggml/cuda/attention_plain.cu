// Attention with one warp a row and F32 arithmetic throughout: the reference on the device. Cost does not matter here.
#include "attention.cuh"

namespace {

constexpr int MAX_PER_LANE = 8; // head sizes up to 256

template <typename T> __device__ float warp_dot(const T * a, const T * b, int64_t dh) {
    float s = 0;
    for (int64_t i = threadIdx.x; i < dh; i += 32) {
        s += to_f32(a[i]) * to_f32(b[i]);
    }
    return warp_sum(s);
}

template <typename T> __global__ void delta_kernel(attention_args<T> p) {
    const int64_t t = blockIdx.x, head = blockIdx.y;
    const float   s = warp_dot(p.o + t * p.o_ld + head * p.dh, p.d_o + t * p.do_ld + head * p.dh, p.dh);
    if (threadIdx.x == 0) {
        p.delta[t * p.heads + head] = s;
    }
}

template <typename T> __global__ void plain_forward_kernel(attention_args<T> p) {
    const int64_t t = blockIdx.x, head = blockIdx.y, kv = head / (p.heads / p.kv_heads) * p.dh;
    const T *     q = p.q + t * p.q_ld + head * p.dh;
    float         m = -INFINITY, sum = 0, acc[MAX_PER_LANE] = {};
    for (int64_t key = p.first_key(t); key <= t; key++) {
        const float s    = warp_dot(q, p.k + key * p.k_ld + kv, p.dh) * p.scale;
        const float best = fmaxf(m, s), keep = expf(m - best), w = expf(s - best);
        m   = best;
        sum = sum * keep + w;
        for (int64_t i = threadIdx.x, j = 0; i < p.dh; i += 32, j++) {
            acc[j] = acc[j] * keep + w * to_f32(p.v[key * p.v_ld + kv + i]);
        }
    }
    for (int64_t i = threadIdx.x, j = 0; i < p.dh; i += 32, j++) {
        p.o[t * p.o_ld + head * p.dh + i] = from_f32<T>(acc[j] / sum);
    }
    if (threadIdx.x == 0) {
        p.lse[t * p.heads + head] = m + logf(sum);
    }
}

template <typename T> __global__ void plain_backward_q_kernel(attention_args<T> p) {
    const int64_t t = blockIdx.x, head = blockIdx.y, kv = head / (p.heads / p.kv_heads) * p.dh;
    const T *     q = p.q + t * p.q_ld + head * p.dh, *d_o = p.d_o + t * p.do_ld + head * p.dh;
    float         acc[MAX_PER_LANE] = {};
    for (int64_t key = p.first_key(t); key <= t; key++) {
        const T *     k = p.k + key * p.k_ld + kv, *v = p.v + key * p.v_ld + kv;
        const float   w  = expf(warp_dot(q, k, p.dh) * p.scale - p.lse[t * p.heads + head]);
        const float   d  = w * (warp_dot(d_o, v, p.dh) - p.delta[t * p.heads + head]) * p.scale;
        for (int64_t i = threadIdx.x, j = 0; i < p.dh; i += 32, j++) {
            acc[j] += d * to_f32(k[i]);
        }
    }
    for (int64_t i = threadIdx.x, j = 0; i < p.dh; i += 32, j++) {
        p.dq[t * p.dq_ld + head * p.dh + i] = from_f32<T>(acc[j]);
    }
}

template <typename T> __global__ void plain_backward_kv_kernel(attention_args<T> p) {
    const int64_t key = blockIdx.x, kv = blockIdx.y, group = p.heads / p.kv_heads, end = p.last_query(key);
    const T *     k = p.k + key * p.k_ld + kv * p.dh, *v = p.v + key * p.v_ld + kv * p.dh;
    float         dk[MAX_PER_LANE] = {}, dv[MAX_PER_LANE] = {};
    for (int64_t head = kv * group; head < (kv + 1) * group; head++) {
        for (int64_t t = key; t <= end; t++) {
            const T *     q = p.q + t * p.q_ld + head * p.dh, *d_o = p.d_o + t * p.do_ld + head * p.dh;
            const float   w  = expf(warp_dot(q, k, p.dh) * p.scale - p.lse[t * p.heads + head]);
            const float   d  = w * (warp_dot(d_o, v, p.dh) - p.delta[t * p.heads + head]) * p.scale;
            for (int64_t i = threadIdx.x, j = 0; i < p.dh; i += 32, j++) {
                dk[j] += d * to_f32(q[i]);
                dv[j] += w * to_f32(d_o[i]);
            }
        }
    }
    for (int64_t i = threadIdx.x, j = 0; i < p.dh; i += 32, j++) {
        p.dk[key * p.dk_ld + kv * p.dh + i] = from_f32<T>(dk[j]);
        p.dv[key * p.dv_ld + kv * p.dh + i] = from_f32<T>(dv[j]);
    }
}

} // namespace

template <typename T> cudaError_t attention_delta(const attention_args<T> & p, cudaStream_t stream) {
    delta_kernel<T><<<dim3((unsigned) p.n, (unsigned) p.heads), 32, 0, stream>>>(p);
    return cudaGetLastError();
}

template <typename T> cudaError_t attention_plain_forward(const attention_args<T> & p, cudaStream_t stream) {
    if (p.dh > 32 * MAX_PER_LANE) {
        return cudaErrorInvalidValue;
    }
    plain_forward_kernel<T><<<dim3((unsigned) p.n, (unsigned) p.heads), 32, 0, stream>>>(p);
    return cudaGetLastError();
}

template <typename T> cudaError_t attention_plain_backward(const attention_args<T> & p, cudaStream_t stream) {
    if (p.dh > 32 * MAX_PER_LANE) {
        return cudaErrorInvalidValue;
    }
    plain_backward_q_kernel<T><<<dim3((unsigned) p.n, (unsigned) p.heads), 32, 0, stream>>>(p);
    QL_TRY(cudaGetLastError());
    plain_backward_kv_kernel<T><<<dim3((unsigned) p.n, (unsigned) p.kv_heads), 32, 0, stream>>>(p);
    return cudaGetLastError();
}

#define QL_INSTANTIATE(T)                                                                               \
    template cudaError_t attention_delta<T>(const attention_args<T> &, cudaStream_t);                  \
    template cudaError_t attention_plain_forward<T>(const attention_args<T> &, cudaStream_t);          \
    template cudaError_t attention_plain_backward<T>(const attention_args<T> &, cudaStream_t);

QL_INSTANTIATE(float)
QL_INSTANTIATE(__half)
QL_INSTANTIATE(__nv_bfloat16)
