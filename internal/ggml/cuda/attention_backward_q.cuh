// The gradient of attention's queries on tensor cores.
#pragma once
#include "attention_tile.cuh"

template <typename T, typename C> struct backward_q_memory {
    static constexpr int ROWS  = 16 * C::MT * C::WARPS; // queries of a block
    static constexpr int BYTES = (2 * ROWS + 2 * C::STAGES * C::STEP) * C::ROW_BYTES + ROWS * 4;
};

// One block owns ROWS queries of one head and steps over their keys: dS = P (dO V^T - delta), dQ = scale dS K.
template <typename T, typename C> __global__ void __launch_bounds__(C::THREADS, C::BLOCKS) attention_backward_q_kernel(const attention_args<T> p) {
    if constexpr (attention_has_body<C>()) {
        using rows = tile<T, C::DH>;
        constexpr int ROWS = backward_q_memory<T, C>::ROWS, STEP = C::STEP, MT = C::MT, STAGE = 2 * STEP * rows::ld;
        extern __shared__ __align__(16) uint8_t memory[];
        T *   sq = reinterpret_cast<T *>(memory), *sd = sq + ROWS * rows::ld, *sk = sd + ROWS * rows::ld, *sv = sk + STEP * rows::ld;
        int * first = reinterpret_cast<int *>(sk + C::STAGES * STAGE); // first key of each query

        const int head = blockIdx.x, kv = head / (int) (p.heads / p.kv_heads) * C::DH;
        const int q0 = ranked_tile<ROWS, false>(p, reinterpret_cast<int *>(memory)) * ROWS, n = (int) p.n, q1 = min(q0 + ROWS, n);
        const int lane = threadIdx.x % 32, row = warp_index() * 16 * MT, t0 = q0 + row;
        int       k0 = p.first_key(q0) / STEP * STEP;
        block_reader<T, C, ROWS> q(p.q + q0 * p.q_ld + head * C::DH, p.q_ld), d_o(p.d_o + q0 * p.do_ld + head * C::DH, p.do_ld);
        block_reader<T, C, STEP> k(p.k + k0 * p.k_ld + kv, p.k_ld), v(p.v + k0 * p.v_ld + kv, p.v_ld);
        q.next(sq, p.q_ld, q1 - q0);
        d_o.next(sd, p.do_ld, q1 - q0);
        if constexpr (C::STAGES == 2) {
            k.next(sk, p.k_ld, q1 - k0);
            v.next(sv, p.v_ld, q1 - k0);
        }
        static_assert(ROWS <= C::THREADS, "a thread fetches one first key");
        if (const int i = threadIdx.x; i < ROWS) {
            first[i] = q0 + i < n ? p.first_key(q0 + i) : INT_MAX;
        }
        const uint32_t at_q = rows::lane_a(sq + row * rows::ld, lane), at_d = rows::lane_a(sd + row * rows::ld, lane);
        const uint32_t at_k = rows::lane_b_rows(sk, lane), at_v = rows::lane_b_rows(sv, lane), at_k_cols = rows::lane_b_cols(sk, lane);
        const float    scale_log2 = p.scale * LOG2E;
        float          lse_log2[MT][2], delta[MT][2], acc[MT][C::DH / 8][4] = {};
#pragma unroll
        for (int mt = 0; mt < MT; mt++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const int t     = t0 + 16 * mt + lane / 4 + 8 * i;
                lse_log2[mt][i] = t < n ? p.lse[t * p.heads + head] * LOG2E : 0.0f;
                delta[mt][i]    = t < n ? p.delta[t * p.heads + head] : 0.0f;
            }
        }
        for (int stage = 0; k0 < q1; k0 += STEP, stage ^= C::STAGES - 1) {
            if constexpr (C::STAGES == 2) {
                wait_copies<C::ASYNC>();
                __syncthreads(); // this stage is here, and nobody reads the other
                if (k0 + STEP < q1) {
                    k.next(sk + (stage ^ 1) * STAGE, p.k_ld, q1 - k0 - STEP);
                    v.next(sv + (stage ^ 1) * STAGE, p.v_ld, q1 - k0 - STEP);
                }
            } else {
                __syncthreads();
                k.next(sk, p.k_ld, q1 - k0);
                v.next(sv, p.v_ld, q1 - k0);
                __syncthreads();
            }
            const visible seen = visibility(t0, t0 + 16 * MT - 1, first[row], first[row + 16 * MT - 1], k0, k0 + STEP - 1);
            if (seen == visible::none) {
                continue;
            }
            const uint32_t moved = stage * STAGE * (int) sizeof(T);
            float          s[MT][STEP / 8][4], d[MT][STEP / 8][4];
            scores<T, C, STEP>(s, at_q, at_k + moved);
            scores<T, C, STEP>(d, at_d, at_v + moved);
#pragma unroll
            for (int mt = 0; mt < MT; mt++) {
#pragma unroll
                for (int j = 0; j < STEP / 8; j++) {
#pragma unroll
                    for (int e = 0; e < 4; e++) {
                        s[mt][j][e] = exp2_approx(s[mt][j][e] * scale_log2 - lse_log2[mt][e / 2]) * (d[mt][j][e] - delta[mt][e / 2]);
                    }
                }
            }
            if (seen == visible::some) {
                mask_keys<C>(s, first + row, t0, k0, lane, 0.0f);
            }
            left_side<C, STEP> w;
            round_to_left_side<T, C, STEP>(w, s);
            weighted<T, C, STEP>(acc, w, at_k_cols + moved);
        }
        scale_rows<C>(acc, p.scale);
        store_rows<T, C>(sq + row * rows::ld, p.dq + head * C::DH, p.dq_ld, acc, t0, n, lane);
    }
}

template <typename T, typename C> struct backward_q_op : backward_q_memory<T, C> {
    static constexpr int  THREADS = C::THREADS;
    static constexpr bool ASYNC   = C::ASYNC;
    static constexpr auto kernel  = attention_backward_q_kernel<T, C>;
    static int64_t        heads(const attention_args<T> & p) {
        return p.heads;
    }
};

// The large tiles of 128 columns pass the 99 KiB that a block has on sm_86 and sm_89.
template <int DH> using backward_q_large  = attention_config<DH, 4, 2, DH <= 64 ? 64 : 32, 2, true, DH <= 64 ? 2 : 8>;
template <int DH> using backward_q_small  = std::conditional_t<DH == 128, attention_config<DH, 4, 1, 32, 1, true>, backward_q_large<DH>>;
template <int DH> using backward_q_turing = attention_config<DH, 4, 1, 32, 1, false>;
