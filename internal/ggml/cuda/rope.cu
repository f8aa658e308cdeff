// Rotary positions: a table of cosines and sines per token, and the rotation of heads by it. The VJP turns the sine's sign.
#include "launch.cuh"

namespace {

__global__ void table_kernel(float * table, const int32_t * pos, const float * freq, int64_t half, int64_t n, float magnitude) {
    const int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= half * n) {
        return;
    }
    const int64_t t = i / half, k = i % half;
    float         s, c;
    sincosf((float) pos[t] * freq[k], &s, &c);
    table[t * 2 * half + k]        = c * magnitude;
    table[t * 2 * half + half + k] = s * magnitude;
}

// N pairs of a head from pair k on: dimensions k and half + k, or neighbours. A single pair may lie at any address.
template <int N, bool NEOX, typename T> __device__ __forceinline__ void load_pairs(const T * x, int half, int k, pack<T, N> & a, pack<T, N> & b) {
    if constexpr (NEOX) {
        a = load<N>(x + k), b = load<N>(x + half + k);
    } else if constexpr (N == 1) {
        a.v[0] = x[2 * k], b.v[0] = x[2 * k + 1];
    } else {
        const pack<T, 2 * N> both = load<2 * N>(x + 2 * k);
#pragma unroll
        for (int j = 0; j < N; j++) {
            a.v[j] = both.v[2 * j], b.v[j] = both.v[2 * j + 1];
        }
    }
}

template <int N, bool NEOX, typename T> __device__ __forceinline__ void store_pairs(T * y, int half, int k, const pack<T, N> & a, const pack<T, N> & b) {
    if constexpr (NEOX) {
        store<N>(y + k, a);
        store<N>(y + half + k, b);
    } else if constexpr (N == 1) {
        y[2 * k] = a.v[0], y[2 * k + 1] = b.v[0];
    } else {
        pack<T, 2 * N> both;
#pragma unroll
        for (int j = 0; j < N; j++) {
            both.v[2 * j] = a.v[j], both.v[2 * j + 1] = b.v[j];
        }
        store<2 * N>(y + 2 * k, both);
    }
}

// One block a token; a thread turns N pairs of a head at a time.
template <int N, bool NEOX, typename T>
__global__ void rope_kernel(T * y, const T * x, const float * table, int dh, int half, int heads, int64_t y_ld, int64_t x_ld, float sign) {
    const float * c = table + (int64_t) blockIdx.x * 2 * half;
    y += blockIdx.x * y_ld, x += blockIdx.x * x_ld;
    const int groups = half / N;
    for (int i = threadIdx.x; i < heads * groups; i += blockDim.x) {
        const int            head = i / groups * dh, k = i % groups * N;
        const pack<float, N> cosine = load<N>(c + k), sine = load<N>(c + half + k);
        pack<T, N>           lo, hi;
        load_pairs<N, NEOX>(x + head, half, k, lo, hi);
#pragma unroll
        for (int j = 0; j < N; j++) {
            const float a = to_f32(lo.v[j]), b = to_f32(hi.v[j]), s = sine.v[j] * sign;
            lo.v[j] = from_f32<T>(a * cosine.v[j] - b * s);
            hi.v[j] = from_f32<T>(a * s + b * cosine.v[j]);
        }
        store_pairs<N, NEOX>(y + head, half, k, lo, hi);
    }
    const int rest = dh - 2 * half;
    for (int i = threadIdx.x; x != y && i < heads * rest; i += blockDim.x) {
        const int at = i / rest * dh + 2 * half + i % rest;
        y[at]        = x[at];
    }
}

} // namespace

cudaError_t qlora_cuda_rope_table(ggml_tensor * table, const qlora_op * op, const qlora_launch & l) {
    const int64_t half = table->ne[0] / 2, n = table->ne[1];
    table_kernel<<<blocks_for(half * n, 256), 256, 0, l.stream>>>((float *) table->data, (const int32_t *) table->src[0]->data,
                                                                 (const float *) table->src[1]->data, half, n, op->fparam[0]);
    return cudaGetLastError();
}

cudaError_t qlora_cuda_rope(ggml_tensor * y, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *x = y->src[0], *table = y->src[1];
    const int          dh = op->iparam[0], half = (int) (table->ne[0] / 2), heads = (int) (x->ne[0] / dh);
    const bool         packs = half % 4 == 0 && dh % 8 == 0 && in_packs<8>({x, y}) && in_packs<4>({table});
    return with_type(x->type, [&](auto t) {
        using T = decltype(t);
        const auto launch = [&](auto n, auto neox) {
            rope_kernel<n.value, neox.value, T><<<(int) x->ne[1], 256, 0, l.stream>>>((T *) y->data, (const T *) x->data, (const float *) table->data, dh,
                                                                                    half, heads, row_stride(y), row_stride(x), op->iparam[2] ? -1.0f : 1.0f);
            return cudaGetLastError();
        };
        const auto choose = [&](auto n) { return op->iparam[1] ? launch(n, std::true_type{}) : launch(n, std::false_type{}); };
        return packs ? choose(std::integral_constant<int, 4>{}) : choose(std::integral_constant<int, 1>{});
    });
}
