// The forward pass of attention on tensor cores.
#pragma once
#include "attention_tile.cuh"

template <typename T, typename C> struct forward_memory {
    static constexpr int ROWS  = 16 * C::MT * C::WARPS; // queries of a block
    static constexpr int BYTES = (ROWS + 2 * C::STEP) * C::ROW_BYTES + ROWS * 4;
};

// One step of the running softmax over a warp's scores s: w gets the probabilities relative to the new maximum. m holds the
// maxima in units of the scores, sum this lane's part of the denominators; acc is scaled to the new maximum.
template <typename T, typename C>
__device__ __forceinline__ void softmax_step(left_side<C, C::STEP> & w, const float (&s)[C::MT][C::STEP / 8][4], float (&acc)[C::MT][C::DH / 8][4],
                                             float (&m)[C::MT][2], float (&sum)[C::MT][2], float scale_log2) {
#pragma unroll
    for (int mt = 0; mt < C::MT; mt++) {
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float top = s[mt][0][2 * i];
#pragma unroll
            for (int j = 0; j < C::STEP / 8; j++) {
                top = fmaxf(top, fmaxf(s[mt][j][2 * i], s[mt][j][2 * i + 1]));
            }
            const float best = fmaxf(m[mt][i], quad_max(top));
            const float base = best == -INFINITY ? 0.0f : best * scale_log2; // no key yet: everything becomes 2^-inf = 0
            const float keep = exp2_approx(m[mt][i] * scale_log2 - base);
            m[mt][i]         = best;
            float part       = sum[mt][i] * keep;
#pragma unroll
            for (int j = 0; j < C::STEP / 8; j++) {
                const float a = exp2_approx(s[mt][j][2 * i] * scale_log2 - base), b = exp2_approx(s[mt][j][2 * i + 1] * scale_log2 - base);
                part += a + b;
                w.at(mt, j, i) = pack2<T>(a, b);
            }
            sum[mt][i] = part;
#pragma unroll
            for (int j = 0; j < C::DH / 8; j++) {
                acc[mt][j][2 * i] *= keep;
                acc[mt][j][2 * i + 1] *= keep;
            }
        }
    }
}

// One block owns ROWS queries of one head and steps over their keys. K and V have one buffer each: V arrives while the scores
// are computed, the next K while the values are weighted.
template <typename T, typename C> __global__ void __launch_bounds__(C::THREADS, C::BLOCKS) attention_forward_kernel(const attention_args<T> p) {
    if constexpr (attention_has_body<C>()) {
        using rows = tile<T, C::DH>;
        constexpr int ROWS = forward_memory<T, C>::ROWS, STEP = C::STEP, MT = C::MT;
        extern __shared__ __align__(16) uint8_t memory[];
        T *   sq    = reinterpret_cast<T *>(memory), *sk = sq + ROWS * rows::ld, *sv = sk + STEP * rows::ld;
        int * first = reinterpret_cast<int *>(sv + STEP * rows::ld); // first key of each query

        const int head = blockIdx.x, kv = head / (int) (p.heads / p.kv_heads) * C::DH;
        const int q0 = ranked_tile<ROWS, false>(p, reinterpret_cast<int *>(memory)) * ROWS, n = (int) p.n, q1 = min(q0 + ROWS, n);
        const int lane = threadIdx.x % 32, row = warp_index() * 16 * MT, t0 = q0 + row;
        int       k0 = p.first_key(q0) / STEP * STEP;
        block_reader<T, C, ROWS> q(p.q + q0 * p.q_ld + head * C::DH, p.q_ld);
        block_reader<T, C, STEP> k(p.k + k0 * p.k_ld + kv, p.k_ld), v(p.v + k0 * p.v_ld + kv, p.v_ld);
        q.next(sq, p.q_ld, q1 - q0);
        k.next(sk, p.k_ld, q1 - k0);
        static_assert(ROWS <= C::THREADS, "a thread fetches one first key");
        if (const int i = threadIdx.x; i < ROWS) {
            first[i] = q0 + i < n ? p.first_key(q0 + i) : INT_MAX;
        }
        const uint32_t at_q = rows::lane_a(sq + row * rows::ld, lane), at_k = rows::lane_b_rows(sk, lane), at_v = rows::lane_b_cols(sv, lane);
        const float    scale_log2 = p.scale * LOG2E;
        float          m[MT][2], sum[MT][2] = {}, acc[MT][C::DH / 8][4] = {}, s[MT][STEP / 8][4];
#pragma unroll
        for (int mt = 0; mt < MT; mt++) {
            m[mt][0] = m[mt][1] = -INFINITY;
        }
        for (; k0 < q1; k0 += STEP) {
            wait_copies<C::ASYNC>();
            __syncthreads(); // K is here, and nobody reads the last V
            v.next(sv, p.v_ld, q1 - k0);
            const visible seen = visibility(t0, t0 + 16 * MT - 1, first[row], first[row + 16 * MT - 1], k0, k0 + STEP - 1);
            if (seen != visible::none) {
                scores<T, C, STEP>(s, at_q, at_k);
            }
            wait_copies<C::ASYNC>();
            __syncthreads(); // V is here, and nobody reads this K
            if (k0 + STEP < q1) {
                k.next(sk, p.k_ld, q1 - k0 - STEP);
            }
            if (seen == visible::none) {
                continue;
            }
            if (seen == visible::some) {
                mask_keys<C>(s, first + row, t0, k0, lane, -INFINITY);
            }
            left_side<C, STEP> w;
            softmax_step<T, C>(w, s, acc, m, sum, scale_log2);
            weighted<T, C, STEP>(acc, w, at_v);
        }
#pragma unroll
        for (int mt = 0; mt < MT; mt++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const float total = quad_sum(sum[mt][i]), inv = 1.0f / total;
                const int   t = t0 + 16 * mt + lane / 4 + 8 * i;
#pragma unroll
                for (int j = 0; j < C::DH / 8; j++) {
                    acc[mt][j][2 * i] *= inv;
                    acc[mt][j][2 * i + 1] *= inv;
                }
                if (lane % 4 == 0 && t < n) {
                    p.lse[t * p.heads + head] = m[mt][i] * p.scale + logf(total);
                }
            }
        }
        store_rows<T, C>(sq + row * rows::ld, p.o + head * C::DH, p.o_ld, acc, t0, n, lane);
    }
}

template <typename T, typename C> struct forward_op : forward_memory<T, C> {
    static constexpr int  THREADS = C::THREADS;
    static constexpr bool ASYNC   = C::ASYNC;
    static constexpr auto kernel  = attention_forward_kernel<T, C>;
    static int64_t        heads(const attention_args<T> & p) {
        return p.heads;
    }
};

// Large tiles fit every card from sm_80 on.
template <int DH> using forward_large  = attention_config<DH, 4, 2, 64, DH == 64 ? 3 : 2, true, DH == 64 ? 2 : 8>;
template <int DH> using forward_turing = attention_config<DH, 8, 1, 32, DH <= 64 ? 2 : 1, false>;
