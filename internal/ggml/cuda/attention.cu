// Causal attention inside the samples of a packed batch, in the manner of FlashAttention-2 (Dao 2023): no T x T matrix, the
// forward pass keeps O and the log-sum-exp, the backward pass computes the probabilities again. Position t attends to
// [first_key(t), t]. dK and dV are summed by the block that owns the keys and dQ by the one that owns the queries, so no
// atomics are needed and the result does not depend on scheduling.
#include "attention.cuh"
#include "launch.cuh"
#include "mma.cuh"

namespace {

constexpr int WARPS = 4, ROWS = 16 * WARPS, STEP = 32; // rows a block owns, rows it steps over

__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}

// c[STEP/8] += rows [row, row+16) of A times the STEP rows of B, both tiles of DH columns.
template <typename T, int DH> __device__ __forceinline__ void scores(float (&c)[STEP / 8][4], const T * a, int row, const T * b, int lane) {
#pragma unroll
    for (int k = 0; k < DH; k += 16) {
        uint32_t fa[4];
        tile<T, DH>::load_a(fa, a, row, k, lane);
#pragma unroll
        for (int n = 0; n < STEP; n += 16) {
            uint32_t fb[4];
            tile<T, DH>::load_b_rows(fb, b, n, k, lane);
            mma16816<T>(c[n / 8], fa, fb[0], fb[1]);
            mma16816<T>(c[n / 8 + 1], fa, fb[2], fb[3]);
        }
    }
}

// acc[DH/8] += P [16 x STEP], still in accumulator layout, times the STEP x DH tile b.
template <typename T, int DH> __device__ __forceinline__ void weighted(float (&acc)[DH / 8][4], const float (&p)[STEP / 8][4], const T * b, int lane) {
#pragma unroll
    for (int k = 0; k < STEP; k += 16) {
        const float(&lo)[4] = p[k / 8], (&hi)[4] = p[k / 8 + 1];
        const uint32_t a[4] = {pack2<T>(lo[0], lo[1]), pack2<T>(lo[2], lo[3]), pack2<T>(hi[0], hi[1]), pack2<T>(hi[2], hi[3])};
#pragma unroll
        for (int n = 0; n < DH; n += 16) {
            uint32_t fb[4];
            tile<T, DH>::load_b_cols(fb, b, k, n, lane);
            mma16816<T>(acc[n / 8], a, fb[0], fb[1]);
            mma16816<T>(acc[n / 8 + 1], a, fb[2], fb[3]);
        }
    }
}

template <typename T, int DH>
__global__ void __launch_bounds__(32 * WARPS) forward_kernel(attention_args<T> p) {
    extern __shared__ __align__(16) uint8_t memory[];
    T * sq = reinterpret_cast<T *>(memory), *sk = sq + ROWS * tile<T, DH>::ld, *sv = sk + STEP * tile<T, DH>::ld;
    const int     lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16, head = blockIdx.y;
    // the longest rows first, so that short ones fill the gaps at the end
    const int64_t q0 = (int64_t) (gridDim.x - 1 - blockIdx.x) * ROWS, q1 = min(q0 + ROWS, p.n);
    const int64_t kv = head / (p.heads / p.kv_heads) * DH;
    tile<T, DH>::fill(sq, p.q + q0 * p.q_ld + head * DH, p.q_ld, ROWS, (int) (q1 - q0));

    int64_t t[2], lo[2];
    float   m[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}, acc[DH / 8][4] = {};
    for (int i = 0; i < 2; i++) {
        t[i]  = q0 + row + lane / 4 + 8 * i;
        lo[i] = t[i] < p.n ? p.first_key(t[i]) : p.n;
    }
    for (int64_t k0 = p.first_key(q0); k0 < q1; k0 += STEP) {
        const int valid = (int) min((int64_t) STEP, q1 - k0);
        __syncthreads();
        tile<T, DH>::fill(sk, p.k + k0 * p.k_ld + kv, p.k_ld, STEP, valid);
        tile<T, DH>::fill(sv, p.v + k0 * p.v_ld + kv, p.v_ld, STEP, valid);
        __syncthreads();
        float s[STEP / 8][4] = {};
        scores<T, DH>(s, sq, row, sk, lane);
        float top[2] = {-INFINITY, -INFINITY};
#pragma unroll
        for (int j = 0; j < STEP / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int64_t key = k0 + j * 8 + lane % 4 * 2 + e % 2;
                s[j][e]           = key >= lo[e / 2] && key <= t[e / 2] ? s[j][e] * p.scale : -INFINITY;
                top[e / 2]        = fmaxf(top[e / 2], s[j][e]);
            }
        }
        float base[2];
        for (int i = 0; i < 2; i++) {
            const float best = fmaxf(m[i], quad_max(top[i]));
            base[i]          = best == -INFINITY ? 0.0f : best; // no key yet: everything below becomes exp(-inf) = 0
            const float keep = __expf(m[i] - base[i]);
            m[i]             = best;
            sum[i] *= keep;
#pragma unroll
            for (int j = 0; j < DH / 8; j++) {
                acc[j][2 * i] *= keep;
                acc[j][2 * i + 1] *= keep;
            }
        }
#pragma unroll
        for (int j = 0; j < STEP / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                s[j][e] = __expf(s[j][e] - base[e / 2]);
                sum[e / 2] += s[j][e];
            }
        }
        weighted<T, DH>(acc, s, sv, lane);
    }
    for (int i = 0; i < 2; i++) {
        sum[i] = quad_sum(sum[i]);
        if (t[i] >= p.n) {
            continue;
        }
        const float inv = 1.0f / sum[i];
        T *         out = p.o + t[i] * p.o_ld + head * DH + lane % 4 * 2;
#pragma unroll
        for (int j = 0; j < DH / 8; j++) {
            *reinterpret_cast<uint32_t *>(out + j * 8) = pack2<T>(acc[j][2 * i] * inv, acc[j][2 * i + 1] * inv);
        }
        if (lane % 4 == 0) {
            p.lse[t[i] * p.heads + head] = m[i] + logf(sum[i]);
        }
    }
}

template <typename T, int DH> __device__ __forceinline__ void store_rows(T * out, int64_t ld, const float (&acc)[DH / 8][4], int64_t t0, int64_t n, int lane) {
    for (int i = 0; i < 2; i++) {
        const int64_t t = t0 + lane / 4 + 8 * i;
        if (t < n) {
#pragma unroll
            for (int j = 0; j < DH / 8; j++) {
                *reinterpret_cast<uint32_t *>(out + t * ld + j * 8 + lane % 4 * 2) = pack2<T>(acc[j][2 * i], acc[j][2 * i + 1]);
            }
        }
    }
}

// One block owns ROWS queries of one head and steps over their keys.
template <typename T, int DH>
__global__ void __launch_bounds__(32 * WARPS) backward_q_kernel(attention_args<T> p) {
    extern __shared__ __align__(16) uint8_t memory[];
    T * sq = reinterpret_cast<T *>(memory), *sd = sq + ROWS * tile<T, DH>::ld;
    T * sk = sd + ROWS * tile<T, DH>::ld, *sv = sk + STEP * tile<T, DH>::ld;
    const int     lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16, head = blockIdx.y;
    const int64_t q0 = (int64_t) (gridDim.x - 1 - blockIdx.x) * ROWS, q1 = min(q0 + ROWS, p.n);
    const int64_t kv = head / (p.heads / p.kv_heads) * DH;
    tile<T, DH>::fill(sq, p.q + q0 * p.q_ld + head * DH, p.q_ld, ROWS, (int) (q1 - q0));
    tile<T, DH>::fill(sd, p.d_o + q0 * p.do_ld + head * DH, p.do_ld, ROWS, (int) (q1 - q0));

    int64_t t[2], lo[2];
    float   lse[2], delta[2], acc[DH / 8][4] = {};
    for (int i = 0; i < 2; i++) {
        t[i]     = q0 + row + lane / 4 + 8 * i;
        lo[i]    = t[i] < p.n ? p.first_key(t[i]) : p.n;
        lse[i]   = t[i] < p.n ? p.lse[t[i] * p.heads + head] : 0.0f;
        delta[i] = t[i] < p.n ? p.delta[t[i] * p.heads + head] : 0.0f;
    }
    for (int64_t k0 = p.first_key(q0); k0 < q1; k0 += STEP) {
        const int valid = (int) min((int64_t) STEP, q1 - k0);
        __syncthreads();
        tile<T, DH>::fill(sk, p.k + k0 * p.k_ld + kv, p.k_ld, STEP, valid);
        tile<T, DH>::fill(sv, p.v + k0 * p.v_ld + kv, p.v_ld, STEP, valid);
        __syncthreads();
        float s[STEP / 8][4] = {}, d[STEP / 8][4] = {};
        scores<T, DH>(s, sq, row, sk, lane);
        scores<T, DH>(d, sd, row, sv, lane);
#pragma unroll
        for (int j = 0; j < STEP / 8; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int64_t key  = k0 + j * 8 + lane % 4 * 2 + e % 2;
                const bool    seen = key >= lo[e / 2] && key <= t[e / 2];
                s[j][e] = seen ? __expf(s[j][e] * p.scale - lse[e / 2]) * (d[j][e] - delta[e / 2]) * p.scale : 0.0f;
            }
        }
        weighted<T, DH>(acc, s, sk, lane);
    }
    store_rows<T, DH>(p.dq + head * DH, p.dq_ld, acc, q0 + row, p.n, lane);
}

// One block owns ROWS keys of one kv head and steps over the queries of its group that see them.
template <typename T, int DH>
__global__ void __launch_bounds__(32 * WARPS) backward_kv_kernel(attention_args<T> p) {
    extern __shared__ __align__(16) uint8_t memory[];
    T * sk = reinterpret_cast<T *>(memory), *sv = sk + ROWS * tile<T, DH>::ld;
    T * sq = sv + ROWS * tile<T, DH>::ld, *sd = sq + STEP * tile<T, DH>::ld;
    float *       rows = reinterpret_cast<float *>(sd + STEP * tile<T, DH>::ld); // lse, then delta, of the step's queries
    int32_t *     first = reinterpret_cast<int32_t *>(rows + 2 * STEP);
    const int     lane = threadIdx.x % 32, row = threadIdx.x / 32 * 16, kv = blockIdx.y;
    const int64_t k0 = (int64_t) blockIdx.x * ROWS, k1 = min(k0 + ROWS, p.n), group = p.heads / p.kv_heads;
    tile<T, DH>::fill(sk, p.k + k0 * p.k_ld + kv * DH, p.k_ld, ROWS, (int) (k1 - k0));
    tile<T, DH>::fill(sv, p.v + k0 * p.v_ld + kv * DH, p.v_ld, ROWS, (int) (k1 - k0));
    const int64_t end = p.last_query(k1 - 1) + 1;
    float         dk[DH / 8][4] = {}, dv[DH / 8][4] = {};
    for (int64_t head = kv * group; head < (kv + 1) * group; head++) {
        for (int64_t q0 = k0; q0 < end; q0 += STEP) {
            const int valid = (int) min((int64_t) STEP, end - q0);
            __syncthreads();
            tile<T, DH>::fill(sq, p.q + q0 * p.q_ld + head * DH, p.q_ld, STEP, valid);
            tile<T, DH>::fill(sd, p.d_o + q0 * p.do_ld + head * DH, p.do_ld, STEP, valid);
            for (int i = threadIdx.x; i < STEP; i += blockDim.x) {
                const bool in  = i < valid;
                rows[i]        = in ? p.lse[(q0 + i) * p.heads + head] : 0.0f;
                rows[STEP + i] = in ? p.delta[(q0 + i) * p.heads + head] : 0.0f;
                first[i]       = in ? (int32_t) p.first_key(q0 + i) : INT32_MAX;
            }
            __syncthreads();
            float s[STEP / 8][4] = {}, d[STEP / 8][4] = {};
            scores<T, DH>(s, sk, row, sq, lane);
            scores<T, DH>(d, sv, row, sd, lane);
#pragma unroll
            for (int j = 0; j < STEP / 8; j++) {
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int     i   = j * 8 + lane % 4 * 2 + e % 2;
                    const int64_t key = k0 + row + lane / 4 + e / 2 * 8;
                    const bool    seen = key >= first[i] && key <= q0 + i;
                    s[j][e] = seen ? __expf(s[j][e] * p.scale - rows[i]) : 0.0f;
                    d[j][e] = s[j][e] * (d[j][e] - rows[STEP + i]) * p.scale;
                }
            }
            weighted<T, DH>(dv, s, sd, lane);
            weighted<T, DH>(dk, d, sq, lane);
        }
    }
    store_rows<T, DH>(p.dk + kv * DH, p.dk_ld, dk, k0 + row, p.n, lane);
    store_rows<T, DH>(p.dv + kv * DH, p.dv_ld, dv, k0 + row, p.n, lane);
}

template <typename K, typename T> cudaError_t launch(K kernel, dim3 grid, int threads, size_t shared, const attention_args<T> & p, cudaStream_t stream) {
    QL_TRY(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int) shared));
    kernel<<<grid, threads, shared, stream>>>(p);
    return cudaGetLastError();
}

template <typename T, int DH> struct tensor_cores {
    static constexpr size_t row = tile<T, DH>::ld * sizeof(T);

    static cudaError_t forward(const attention_args<T> & p, cudaStream_t stream) {
        return launch(forward_kernel<T, DH>, dim3(blocks_for(p.n, ROWS), (unsigned) p.heads), 32 * WARPS, (ROWS + 2 * STEP) * row, p, stream);
    }
    static cudaError_t backward(const attention_args<T> & p, cudaStream_t stream) {
        const unsigned blocks = (unsigned) blocks_for(p.n, ROWS);
        QL_TRY(launch(backward_q_kernel<T, DH>, dim3(blocks, (unsigned) p.heads), 32 * WARPS, (2 * ROWS + 2 * STEP) * row, p, stream));
        return launch(backward_kv_kernel<T, DH>, dim3(blocks, (unsigned) p.kv_heads), 32 * WARPS,
                      (2 * ROWS + 2 * STEP) * row + 3 * STEP * sizeof(float), p, stream);
    }
};

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
template <typename T> cudaError_t forward(const attention_args<T> & p, cudaStream_t stream) {
    QL_TRY(check_device<T>());
    if constexpr (sizeof(T) == 2) {
        switch (p.dh) {
            case 32: return tensor_cores<T, 32>::forward(p, stream);
            case 64: return tensor_cores<T, 64>::forward(p, stream);
            case 96: return tensor_cores<T, 96>::forward(p, stream);
            case 128: return tensor_cores<T, 128>::forward(p, stream);
        }
    }
    return attention_plain_forward(p, stream);
}

template <typename T> cudaError_t backward(const attention_args<T> & p, cudaStream_t stream) {
    QL_TRY(check_device<T>());
    QL_TRY(attention_delta(p, stream));
    if constexpr (sizeof(T) == 2) {
        switch (p.dh) {
            case 32: return tensor_cores<T, 32>::backward(p, stream);
            case 64: return tensor_cores<T, 64>::backward(p, stream);
            case 96: return tensor_cores<T, 96>::backward(p, stream);
            case 128: return tensor_cores<T, 128>::backward(p, stream);
        }
    }
    return attention_plain_backward(p, stream);
}

template <typename T> attention_args<T> args_of(const ggml_tensor * dst, const qlora_op * op, const ggml_tensor * segments) {
    attention_args<T> p = {};
    p.q = (const T *) dst->src[0]->data, p.k = (const T *) dst->src[1]->data, p.v = (const T *) dst->src[2]->data;
    p.q_ld = row_stride(dst->src[0]), p.k_ld = row_stride(dst->src[1]), p.v_ld = row_stride(dst->src[2]);
    p.segments = (const int32_t *) segments->data;
    p.n = segments->ne[0], p.dh = op->iparam[0], p.heads = op->iparam[1], p.kv_heads = op->iparam[2], p.window = op->iparam[3];
    p.scale = op->fparam[0];
    return p;
}

} // namespace

cudaError_t qlora_cuda_attn(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l) {
    return with_type(dst->type, [&](auto t) {
        using T             = decltype(t);
        attention_args<T> p = args_of<T>(dst, op, dst->src[3]);
        p.o = (T *) dst->data, p.o_ld = row_stride(dst), p.lse = (float *) dst->src[5]->data;
        return forward<T>(p, l.stream);
    });
}

cudaError_t qlora_cuda_attn_back(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l) {
    const ggml_tensor *o = dst->src[3], *d_o = dst->src[4], *scratch = dst->src[6];
    return with_type(dst->type, [&](auto t) {
        using T             = decltype(t);
        attention_args<T> p = args_of<T>(dst, op, dst->src[5]);
        if (scratch == nullptr || scratch->ne[0] < p.n * p.heads) {
            return cudaErrorInvalidValue;
        }
        p.o = (T *) o->data, p.o_ld = row_stride(o), p.d_o = (const T *) d_o->data, p.do_ld = row_stride(d_o);
        p.lse = (float *) dst->src[7]->data, p.delta = (float *) scratch->data;
        p.dq = (T *) dst->data, p.dk = p.dq + p.dh * p.heads, p.dv = p.dk + p.dh * p.kv_heads;
        p.dq_ld = p.dk_ld = p.dv_ld = row_stride(dst);
        return backward<T>(p, l.stream);
    });
}
