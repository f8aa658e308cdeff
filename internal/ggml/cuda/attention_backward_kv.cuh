// The gradients of attention's keys and values on tensor cores.
#pragma once
#include "attention_tile.cuh"

// Warps work in pairs over the same 32 keys, so that each holds one gradient: the first computes S and P and sums dV, the
// second computes dP and dS and sums dK. P passes from one to the other in F32.
template <typename T, typename C> struct backward_kv_memory {
    static constexpr int PAIRS = C::WARPS / 2, ROWS = 16 * C::MT * PAIRS; // keys of a block
    static constexpr int SUB   = 32, SUBS = C::STEP / SUB;                // queries between two hand-overs
    static constexpr int HAND  = 16 * C::MT * SUB;                        // floats of a hand-over
    static constexpr int STAGE_BYTES = 2 * C::STEP * C::ROW_BYTES + 3 * C::STEP * 4; // Q, dO, then lse, delta, segment
    static constexpr int BYTES = 2 * ROWS * C::ROW_BYTES + PAIRS * SUBS * HAND * 4 + C::STAGES * STAGE_BYTES;
};

// last_query by all lanes of a warp at once.
template <typename T> __device__ __forceinline__ int last_query_of_warp(const attention_args<T> & p, int key, int lane) {
    int lo = key, hi = (int) p.n - 1; // segments[lo] <= key always
    while (lo < hi) {
        const int stride = (hi - lo + 31) / 32, probe = min(hi, lo + (lane + 1) * stride);
        const int inside = __popc(__ballot_sync(0xffffffffu, p.segments[probe] <= key)); // the first so many probes
        if (inside == 32) {
            lo = hi;
        } else {
            lo += inside * stride;
            hi = min(hi, lo + stride) - 1;
        }
    }
    return p.window > 0 && p.window - 1 < lo - key ? key + (int) p.window - 1 : lo;
}

// Sets the probabilities of keys k0 + row with queries t0 + column to zero where the query does not see the key; segments
// are those of the queries.
template <typename T, typename C, int SUB>
__device__ __forceinline__ void mask_queries(float (&s)[C::MT][SUB / 8][4], const int * segments, int t0, int k0, const attention_args<T> & p, int lane) {
#pragma unroll
    for (int j = 0; j < SUB / 8; j++) {
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const int i = 8 * j + lane % 4 * 2 + e, t = t0 + i, window = (int) p.window;
            const int lo = t >= (int) p.n ? INT_MAX : window > 0 ? max(segments[i], t - window + 1) : segments[i];
#pragma unroll
            for (int mt = 0; mt < C::MT; mt++) {
                const int key = k0 + 16 * mt + lane / 4;
                if (key < lo || key > t) {
                    s[mt][j][e] = 0.0f;
                }
                if (key + 8 < lo || key + 8 > t) {
                    s[mt][j][2 + e] = 0.0f;
                }
            }
        }
    }
}

// One block owns ROWS keys of one kv head and steps over the queries of its group, or of a part of it, that see them:
// dV = P^T dO, dS = P (dO V^T - delta), dK = scale dS^T Q.
template <typename T, typename C> __global__ void __launch_bounds__(C::THREADS, C::BLOCKS) attention_backward_kv_kernel(const attention_args<T> p) {
    if constexpr (attention_has_body<C>()) {
        using rows = tile<T, C::DH>;
        using mem  = backward_kv_memory<T, C>;
        constexpr int ROWS = mem::ROWS, STEP = C::STEP, MT = C::MT, SUB = mem::SUB, SUBS = mem::SUBS;
        extern __shared__ __align__(16) uint8_t memory[];
        T *       sk   = reinterpret_cast<T *>(memory), *sv = sk + ROWS * rows::ld;
        float *   hand = reinterpret_cast<float *>(sv + ROWS * rows::ld);
        uint8_t * stages = reinterpret_cast<uint8_t *>(hand + mem::PAIRS * SUBS * mem::HAND);

        const int kv = blockIdx.x / p.splits, group = (int) (p.heads / p.kv_heads), n = (int) p.n, split = blockIdx.x % p.splits;
        const int first = kv * group + split * group / p.splits, last = kv * group + (split + 1) * group / p.splits; // its heads
        const int k0 = ranked_tile<ROWS, true>(p, reinterpret_cast<int *>(memory)) * ROWS, k1 = min(k0 + ROWS, n);
        const int lane = threadIdx.x % 32, warp = warp_index();
        // the two warps of a pair are of one scheduler where there are eight
        const bool second = warp >= mem::PAIRS;
        const int  pair = warp % mem::PAIRS, row = pair * 16 * MT, r0 = k0 + row;
        block_reader<T, C, ROWS> k(p.k + k0 * p.k_ld + kv * C::DH, p.k_ld), v(p.v + k0 * p.v_ld + kv * C::DH, p.v_ld);
        k.next(sk, p.k_ld, k1 - k0);
        v.next(sv, p.v_ld, k1 - k0);

        const int  begin = k0 / STEP * STEP, end = last_query_of_warp(p, k1 - 1, lane) + 1;
        block_reader<T, C, STEP> q(p.q + begin * p.q_ld + first * C::DH, p.q_ld), d_o(p.d_o + begin * p.do_ld + first * C::DH, p.do_ld);
        // Reads the queries from q0 of a head, which follow those read before.
        const auto read_stage = [&](int stage, int head, int q0) {
            T *     sq = reinterpret_cast<T *>(stages + stage * mem::STAGE_BYTES), *sd = sq + STEP * rows::ld;
            float * lse = reinterpret_cast<float *>(sd + STEP * rows::ld), *delta = lse + STEP;
            int *   segments = reinterpret_cast<int *>(delta + STEP);
            q.next(sq, p.q_ld, end - q0);
            d_o.next(sd, p.do_ld, end - q0);
            if (q0 + STEP >= end) { // on to the first query of the next head
                q.skip(C::DH - (q0 + STEP - begin) * p.q_ld);
                d_o.skip(C::DH - (q0 + STEP - begin) * p.do_ld);
            }
            static_assert(STEP <= C::THREADS, "a thread fetches one query's numbers");
            if (const int i = threadIdx.x; i < STEP) {
                const int     t  = min(q0 + i, n - 1);
                const int64_t at = t * p.heads + head;
                if constexpr (C::ASYNC) {
                    copy4_async(lse + i, p.lse + at, true);
                    copy4_async(delta + i, p.delta + at, true);
                    copy4_async(segments + i, p.segments + t, true);
                } else {
                    lse[i] = p.lse[at], delta[i] = p.delta[at], segments[i] = p.segments[t];
                }
            }
        };
        const uint32_t at_rows = rows::lane_a((second ? sv : sk) + row * rows::ld, lane);
        const float    scale_log2 = p.scale * LOG2E;
        float          acc[MT][C::DH / 8][4] = {};
        int            head = first, q0 = begin;
        if constexpr (C::STAGES == 2) {
            read_stage(0, head, q0);
        }
        for (int stage = 0; head < last; stage ^= C::STAGES - 1) {
            const bool wraps = q0 + STEP >= end;
            const int  next_head = head + wraps, next_q0 = wraps ? begin : q0 + STEP;
            if constexpr (C::STAGES == 2) {
                wait_copies<C::ASYNC>();
                __syncthreads(); // this stage is here, and nobody reads the other
                if (next_head < last) {
                    read_stage(stage ^ 1, next_head, next_q0);
                }
            } else {
                __syncthreads();
                read_stage(0, head, q0);
                __syncthreads();
            }
            const T *     sq = reinterpret_cast<T *>(stages + stage * mem::STAGE_BYTES), *sd = sq + STEP * rows::ld;
            const float * lse = reinterpret_cast<const float *>(sd + STEP * rows::ld), *delta = lse + STEP;
            const int *   segments = reinterpret_cast<const int *>(delta + STEP);
            visible       seen[SUBS];
#pragma unroll
            for (int u = 0; u < SUBS; u++) {
                const int t0 = q0 + u * SUB, t1 = t0 + SUB - 1, window = (int) p.window;
                const int from = window > 0 ? max(segments[u * SUB], t0 - window + 1) : segments[u * SUB];
                const int to   = window > 0 ? max(segments[u * SUB + SUB - 1], t1 - window + 1) : segments[u * SUB + SUB - 1];
                seen[u]        = visibility(t0, t1, t0 < end ? from : INT_MAX, t1 < n ? to : INT_MAX, r0, r0 + 16 * MT - 1);
            }
            float4 * const handed = reinterpret_cast<float4 *>(hand + pair * SUBS * mem::HAND) + lane;
            if (!second) {
                const uint32_t at_q = rows::lane_b_rows(sq, lane), at_d = rows::lane_b_cols(sd, lane);
#pragma unroll
                for (int u = 0; u < SUBS; u++) {
                    if (seen[u] == visible::none) {
                        continue;
                    }
                    float s[MT][SUB / 8][4];
                    scores<T, C, SUB>(s, at_rows, at_q + rows::at(u * SUB, 0));
#pragma unroll
                    for (int j = 0; j < SUB / 8; j++) {
                        const float2 l = *reinterpret_cast<const float2 *>(lse + u * SUB + 8 * j + lane % 4 * 2);
                        const float  base[2] = {l.x * LOG2E, l.y * LOG2E};
#pragma unroll
                        for (int mt = 0; mt < MT; mt++) {
#pragma unroll
                            for (int e = 0; e < 4; e++) {
                                s[mt][j][e] = exp2_approx(s[mt][j][e] * scale_log2 - base[e % 2]);
                            }
                        }
                    }
                    if (seen[u] == visible::some) {
                        mask_queries<T, C, SUB>(s, segments + u * SUB, q0 + u * SUB, r0, p, lane);
                    }
#pragma unroll
                    for (int mt = 0; mt < MT; mt++) {
#pragma unroll
                        for (int j = 0; j < SUB / 8; j++) {
                            handed[(u * MT * SUB / 8 + mt * SUB / 8 + j) * 32] = make_float4(s[mt][j][0], s[mt][j][1], s[mt][j][2], s[mt][j][3]);
                        }
                    }
                    pair_sync(1 + pair);
                    left_side<C, SUB> w;
                    round_to_left_side<T, C, SUB>(w, s);
                    weighted<T, C, SUB>(acc, w, at_d + rows::at(u * SUB, 0));
                }
            } else {
                const uint32_t at_d = rows::lane_b_rows(sd, lane), at_q = rows::lane_b_cols(sq, lane);
                float          d[SUBS][MT][SUB / 8][4];
#pragma unroll
                for (int u = 0; u < SUBS; u++) {
                    if (seen[u] != visible::none) {
                        scores<T, C, SUB>(d[u], at_rows, at_d + rows::at(u * SUB, 0));
                    }
                }
#pragma unroll
                for (int u = 0; u < SUBS; u++) {
                    if (seen[u] == visible::none) {
                        continue;
                    }
                    pair_sync(1 + pair);
#pragma unroll
                    for (int j = 0; j < SUB / 8; j++) {
                        const float2 l = *reinterpret_cast<const float2 *>(delta + u * SUB + 8 * j + lane % 4 * 2);
#pragma unroll
                        for (int mt = 0; mt < MT; mt++) {
                            const float4 s = handed[(u * MT * SUB / 8 + mt * SUB / 8 + j) * 32];
                            d[u][mt][j][0] = s.x * (d[u][mt][j][0] - l.x), d[u][mt][j][1] = s.y * (d[u][mt][j][1] - l.y);
                            d[u][mt][j][2] = s.z * (d[u][mt][j][2] - l.x), d[u][mt][j][3] = s.w * (d[u][mt][j][3] - l.y);
                        }
                    }
                    left_side<C, SUB> w;
                    round_to_left_side<T, C, SUB>(w, d[u]);
                    weighted<T, C, SUB>(acc, w, at_q + rows::at(u * SUB, 0));
                }
            }
            head = next_head, q0 = next_q0;
        }
        if (second) {
            scale_rows<C>(acc, p.scale);
        }
        T *     out = (second ? p.dk : p.dv) + kv * C::DH;
        int64_t ld  = second ? p.dk_ld : p.dv_ld;
        if (p.splits > 1) {
            ld  = p.kv_heads * p.splits * C::DH;
            out = p.parts + (second ? 0 : n * ld) + blockIdx.x * C::DH;
        }
        store_rows<T, C>((second ? sv : sk) + row * rows::ld, out, ld, acc, r0, n, lane);
    }
}

template <typename T, typename C> struct backward_kv_op : backward_kv_memory<T, C> {
    static constexpr int  THREADS = C::THREADS;
    static constexpr bool ASYNC   = C::ASYNC;
    static constexpr auto kernel  = attention_backward_kv_kernel<T, C>;
    static int64_t        heads(const attention_args<T> & p) {
        return p.kv_heads * p.splits;
    }
};

// The large tiles of 128 columns need the 227 KiB of sm_90, those of 96 columns the 163 KiB of sm_80.
template <int DH> using backward_kv_large  = std::conditional_t<DH <= 64, attention_config<DH, 4, 2, 64, 2, true>, attention_config<DH, 8, 2, 64, 1, true>>;
template <int DH> using backward_kv_small  = std::conditional_t<DH <= 64, backward_kv_large<DH>, attention_config<DH, 4, 2, 32, 1, true>>;
template <int DH> using backward_kv_turing = attention_config<DH, 4, 2, 32, 1, false>;
