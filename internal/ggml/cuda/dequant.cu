// Dequantisation of every base type to F32, F16 or BF16. One thread writes eight consecutive elements, so stores are 16 or
// 32 bytes wide whatever the block format. Formats are those of ggml-common.h.
#include "dequant.cuh"

namespace {

constexpr int PER_THREAD = 8;

__constant__ int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

__device__ __forceinline__ float half_at(const uint8_t * p) {
    const uint16_t bits = (uint16_t) (p[0] | p[1] << 8);
    return __half2float(__ushort_as_half(bits));
}

// Each format: block elements, block bytes, and y[0..8) = elements [i, i+8) of the block at p.
struct f32_block {
    static constexpr int elements = 8, bytes = 32;
    static __device__ void get(const uint8_t * p, int, float * y) {
        for (int j = 0; j < 8; j++) y[j] = reinterpret_cast<const float *>(p)[j];
    }
};
struct f16_block {
    static constexpr int elements = 8, bytes = 16;
    static __device__ void get(const uint8_t * p, int, float * y) {
        for (int j = 0; j < 8; j++) y[j] = half_at(p + 2 * j);
    }
};
struct bf16_block {
    static constexpr int elements = 8, bytes = 16;
    static __device__ void get(const uint8_t * p, int, float * y) {
        for (int j = 0; j < 8; j++) y[j] = __uint_as_float((uint32_t) (p[2 * j] | p[2 * j + 1] << 8) << 16);
    }
};
// The 32-element formats hold elements 0..15 in the low and 16..31 in the high nibbles.
__device__ __forceinline__ int nibble(const uint8_t * qs, int i) {
    return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}
struct q4_0_block {
    static constexpr int elements = 32, bytes = 18;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const float d = half_at(p);
        for (int j = 0; j < 8; j++) y[j] = d * (nibble(p + 2, i + j) - 8);
    }
};
struct q4_1_block {
    static constexpr int elements = 32, bytes = 20;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const float d = half_at(p), m = half_at(p + 2);
        for (int j = 0; j < 8; j++) y[j] = d * nibble(p + 4, i + j) + m;
    }
};
struct q5_0_block {
    static constexpr int elements = 32, bytes = 22;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const float    d  = half_at(p);
        const uint32_t qh = p[2] | p[3] << 8 | p[4] << 16 | (uint32_t) p[5] << 24;
        for (int j = 0; j < 8; j++) y[j] = d * ((nibble(p + 6, i + j) | (int) (qh >> (i + j) & 1) << 4) - 16);
    }
};
struct q5_1_block {
    static constexpr int elements = 32, bytes = 24;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const float    d  = half_at(p), m = half_at(p + 2);
        const uint32_t qh = p[4] | p[5] << 8 | p[6] << 16 | (uint32_t) p[7] << 24;
        for (int j = 0; j < 8; j++) y[j] = d * (nibble(p + 8, i + j) | (int) (qh >> (i + j) & 1) << 4) + m;
    }
};
struct q8_0_block {
    static constexpr int elements = 32, bytes = 34;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const float d = half_at(p);
        for (int j = 0; j < 8; j++) y[j] = d * (int8_t) p[2 + i + j];
    }
};
struct iq4_nl_block {
    static constexpr int elements = 32, bytes = 18;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const float d = half_at(p);
        for (int j = 0; j < 8; j++) y[j] = d * iq4_values[nibble(p + 2, i + j)];
    }
};
// Elements [128h, 128h+128) share 32 bytes of qs; element 32s+l of them sits in bits 2s of byte l.
struct q2_k_block {
    static constexpr int elements = 256, bytes = 84;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const float   d = half_at(p + 80), m = half_at(p + 82);
        const uint8_t sc = p[i / 16];
        const uint8_t * q = p + 16 + i / 128 * 32 + i % 32;
        const int shift = i % 128 / 32 * 2;
        for (int j = 0; j < 8; j++) y[j] = d * (sc & 15) * (q[j] >> shift & 3) - m * (sc >> 4);
    }
};
struct q3_k_block {
    static constexpr int elements = 256, bytes = 110;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const uint8_t * hmask = p, *qs = p + 32, *s = p + 96;
        const float     d  = half_at(p + 108);
        const int       is = i / 16;
        const int       low  = is < 8 ? s[is] & 15 : s[is - 8] >> 4;
        const int       high = s[8 + is % 4] >> (2 * (is / 4)) & 3;
        const float     dl   = d * ((low | high << 4) - 32);
        const uint8_t * q     = qs + i / 128 * 32 + i % 32;
        const uint8_t * h     = hmask + i % 32;
        const int       shift = i % 128 / 32 * 2, bit = i / 32;
        for (int j = 0; j < 8; j++) y[j] = dl * ((q[j] >> shift & 3) - (h[j] >> bit & 1 ? 0 : 4));
    }
};
// Six-bit scale and min number j of the eight in a q4_K or q5_K block.
__device__ __forceinline__ void scale_min(const uint8_t * s, int j, float & sc, float & mn) {
    if (j < 4) {
        sc = s[j] & 63;
        mn = s[j + 4] & 63;
    } else {
        sc = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        mn = (s[j + 4] >> 4) | (s[j] >> 6) << 4;
    }
}
struct q4_k_block {
    static constexpr int elements = 256, bytes = 144;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        float sc, mn;
        scale_min(p + 4, i / 32, sc, mn);
        const float     d = half_at(p) * sc, m = half_at(p + 2) * mn;
        const uint8_t * q = p + 16 + i / 64 * 32 + i % 32;
        const int       shift = i % 64 / 32 * 4;
        for (int j = 0; j < 8; j++) y[j] = d * (q[j] >> shift & 15) - m;
    }
};
struct q5_k_block {
    static constexpr int elements = 256, bytes = 176;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        float sc, mn;
        scale_min(p + 4, i / 32, sc, mn);
        const float     d = half_at(p) * sc, m = half_at(p + 2) * mn;
        const uint8_t * qh = p + 16 + i % 32, *q = p + 48 + i / 64 * 32 + i % 32;
        const int       shift = i % 64 / 32 * 4, bit = i / 32;
        for (int j = 0; j < 8; j++) y[j] = d * ((q[j] >> shift & 15) + (qh[j] >> bit & 1 ? 16 : 0)) - m;
    }
};
struct q6_k_block {
    static constexpr int elements = 256, bytes = 210;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const int       half = i / 128, in = i % 128, quarter = in / 32;
        const uint8_t * ql = p + half * 64 + in % 64, *qh = p + 128 + half * 32 + in % 32;
        const float     d  = half_at(p + 208) * (int8_t) p[192 + i / 16];
        const int       low = quarter / 2 * 4, high = quarter * 2;
        for (int j = 0; j < 8; j++) y[j] = d * (((ql[j] >> low & 15) | (qh[j] >> high & 3) << 4) - 32);
    }
};
struct iq4_xs_block {
    static constexpr int elements = 256, bytes = 136;
    static __device__ void get(const uint8_t * p, int i, float * y) {
        const int      ib = i / 32;
        const uint16_t scales_h = (uint16_t) (p[2] | p[3] << 8);
        const int      ls = (p[4 + ib / 2] >> (4 * (ib % 2)) & 15) | (scales_h >> (2 * ib) & 3) << 4;
        const float    d  = half_at(p) * (ls - 32);
        for (int j = 0; j < 8; j++) y[j] = d * iq4_values[nibble(p + 8 + 16 * ib, i % 32 + j)];
    }
};

// Rows of d elements, a whole number of groups of eight.
template <typename B, typename T, bool PACKED>
__global__ void dequantise_kernel(const uint8_t * __restrict__ src, T * __restrict__ dst, uint32_t d, int64_t groups, int64_t ld) {
    const int64_t group = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    if (group >= groups) {
        return;
    }
    const int64_t  at  = group * PER_THREAD;
    const uint32_t row = (uint32_t) (group / (d / PER_THREAD));
    T *            out = dst + row * ld + (at - (int64_t) row * d);
    float          y[PER_THREAD];
    B::get(src + at / B::elements * B::bytes, (int) (at % B::elements), y);
    if constexpr (sizeof(T) == 2 && PACKED) {
        pack16<T> packed;
        for (int j = 0; j < PER_THREAD; j++) packed.v[j] = from_f32<T>(y[j]);
        store16(out, packed);
    } else {
        for (int j = 0; j < PER_THREAD; j++) out[j] = from_f32<T>(y[j]);
    }
}

// Rows of any length of a type without blocks.
template <typename S, typename T> __global__ void convert_kernel(const S * src, T * dst, int64_t d, int64_t n, int64_t ld) {
    const int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x;
    if (i < d * n) {
        dst[i / d * ld + i % d] = from_f32<T>(to_f32(src[i]));
    }
}

template <typename B> cudaError_t run(const void * src, int64_t d, int64_t n, int out_type, void * dst, int64_t ld, cudaStream_t stream) {
    constexpr int threads = 256;
    return with_type(out_type, [&](auto t) {
        using T = decltype(t);
        const int64_t groups = d * n / PER_THREAD;
        if (ld % PER_THREAD == 0 && (uintptr_t) dst % 16 == 0) {
            dequantise_kernel<B, T, true><<<blocks_for(groups, threads), threads, 0, stream>>>((const uint8_t *) src, (T *) dst, (uint32_t) d, groups, ld);
        } else {
            dequantise_kernel<B, T, false><<<blocks_for(groups, threads), threads, 0, stream>>>((const uint8_t *) src, (T *) dst, (uint32_t) d, groups, ld);
        }
        return cudaGetLastError();
    });
}

template <typename S> cudaError_t convert(const void * src, int64_t d, int64_t n, int out_type, void * dst, int64_t ld, cudaStream_t stream) {
    return with_type(out_type, [&](auto t) {
        using T = decltype(t);
        convert_kernel<S, T><<<blocks_for(d * n, 256), 256, 0, stream>>>((const S *) src, (T *) dst, d, n, ld);
        return cudaGetLastError();
    });
}

} // namespace

cudaError_t qlora_dequantise(const ggml_tensor * w, int out_type, void * dst, int64_t ld, cudaStream_t stream) {
    return qlora_dequantise_rows(w, w->data, w->ne[1], out_type, dst, ld, stream);
}

cudaError_t qlora_dequantise_rows(const ggml_tensor * w, const void * src, int64_t n, int out_type, void * dst, int64_t ld, cudaStream_t stream) {
    const int64_t d = w->ne[0];
    if (d % PER_THREAD != 0) { // only types without blocks have such rows
        switch (w->type) {
            case GGML_TYPE_F32: return convert<float>(src, d, n, out_type, dst, ld, stream);
            case GGML_TYPE_F16: return convert<__half>(src, d, n, out_type, dst, ld, stream);
            case GGML_TYPE_BF16: return convert<__nv_bfloat16>(src, d, n, out_type, dst, ld, stream);
            default: return cudaErrorInvalidValue;
        }
    }
    switch (w->type) {
        case GGML_TYPE_F32: return run<f32_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_F16: return run<f16_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_BF16: return run<bf16_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q4_0: return run<q4_0_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q4_1: return run<q4_1_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q5_0: return run<q5_0_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q5_1: return run<q5_1_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q8_0: return run<q8_0_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q2_K: return run<q2_k_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q3_K: return run<q3_k_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q4_K: return run<q4_k_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q5_K: return run<q5_k_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_Q6_K: return run<q6_k_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_IQ4_NL: return run<iq4_nl_block>(src, d, n, out_type, dst, ld, stream);
        case GGML_TYPE_IQ4_XS: return run<iq4_xs_block>(src, d, n, out_type, dst, ld, stream);
        default: return cudaErrorInvalidValue;
    }
}
