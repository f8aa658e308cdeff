// The sum over each head of dO * O, which attention's backward pass subtracts from dP.
#include "attention.cuh"

namespace {

constexpr int LANES = 16, THREADS = 256; // lanes that share a head

// PACK elements are read at once.
template <typename T, int PACK> __global__ void __launch_bounds__(THREADS) delta_kernel(const attention_args<T> p) {
    struct alignas(PACK * sizeof(T)) pack {
        T v[PACK];
    };
    const int64_t i    = ((int64_t) blockIdx.x * THREADS + threadIdx.x) / LANES, t = i / p.heads, head = i % p.heads;
    const int     lane = threadIdx.x % LANES;
    float         sum  = 0;
    if (t < p.n) {
        const T *o = p.o + t * p.o_ld + head * p.dh, *d_o = p.d_o + t * p.do_ld + head * p.dh;
        for (int c = lane * PACK; c < p.dh; c += LANES * PACK) {
            const pack a = *reinterpret_cast<const pack *>(o + c), b = *reinterpret_cast<const pack *>(d_o + c);
#pragma unroll
            for (int e = 0; e < PACK; e++) {
                sum += to_f32(a.v[e]) * to_f32(b.v[e]);
            }
        }
    }
#pragma unroll
    for (int o = LANES / 2; o > 0; o >>= 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, o);
    }
    if (t < p.n && lane == 0) {
        p.delta[i] = sum;
    }
}

template <typename T, int PACK> bool packs(const attention_args<T> & p) {
    const auto whole = [](int64_t x) { return x % PACK == 0; };
    return whole(p.dh) && whole(p.o_ld) && whole(p.do_ld) && (uintptr_t) p.o % (PACK * sizeof(T)) == 0 && (uintptr_t) p.d_o % (PACK * sizeof(T)) == 0;
}

} // namespace

template <typename T> cudaError_t attention_delta(const attention_args<T> & p, cudaStream_t stream) {
    constexpr int PACK   = 16 / sizeof(T);
    const int     blocks = blocks_for(p.n * p.heads, THREADS / LANES);
    if (packs<T, PACK>(p)) {
        delta_kernel<T, PACK><<<blocks, THREADS, 0, stream>>>(p);
    } else {
        delta_kernel<T, 1><<<blocks, THREADS, 0, stream>>>(p);
    }
    return cudaGetLastError();
}

template cudaError_t attention_delta<float>(const attention_args<float> &, cudaStream_t);
template cudaError_t attention_delta<__half>(const attention_args<__half> &, cudaStream_t);
template cudaError_t attention_delta<__nv_bfloat16>(const attention_args<__nv_bfloat16> &, cudaStream_t);
