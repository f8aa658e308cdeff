// One attention problem on the device, laid out as the trainer lays it out, with everything around it poisoned.
#pragma once
#include "../attention.cuh"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#define CHECK(expr)                                                                                           \
    do {                                                                                                      \
        const cudaError_t err_ = (expr);                                                                      \
        if (err_ != cudaSuccess) {                                                                            \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expr, cudaGetErrorString(err_));           \
            exit(1);                                                                                          \
        }                                                                                                     \
    } while (0)

struct shape {
    std::vector<int> lengths; // of the packed samples
    int              dh, heads, kv_heads, window;

    int tokens() const {
        int n = 0;
        for (int length : lengths) {
            n += length;
        }
        return n;
    }
    // Of the forward pass without a window: two products over the lower triangle of each sample.
    double flops() const {
        double pairs = 0;
        for (int length : lengths) {
            pairs += 0.5 * length * length;
        }
        return 4.0 * dh * heads * pairs;
    }
};

template <typename T> struct device_array {
    T *    data = nullptr;
    size_t n    = 0;

    explicit device_array(size_t n_) : n(n_) {
        CHECK(cudaMalloc(&data, n * sizeof(T)));
    }
    device_array(const device_array &) = delete;
    ~device_array() {
        cudaFree(data);
    }
    void upload(const std::vector<T> & from) {
        CHECK(cudaMemcpy(data, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice));
    }
    std::vector<T> download() const {
        std::vector<T> to(n);
        CHECK(cudaMemcpy(to.data(), data, n * sizeof(T), cudaMemcpyDeviceToHost));
        return to;
    }
};

// Q, K, V are columns of one buffer with a tail, and dQ, dK, dV of another; O and dO have a tail each where asked for.
template <typename T> struct problem {
    static constexpr int ROWS_AROUND = 3;

    shape   s;
    int     n, q_cols, kv_cols, qkv_ld, o_ld;
    int64_t rows; // of a buffer, with those after the last token

    device_array<T>       qkv, d_o, o, d_qkv;
    device_array<float>   lse, delta;
    device_array<int32_t> segments;

    problem(const shape & s_, int tail)
        : s(s_), n(s.tokens()), q_cols(s.dh * s.heads), kv_cols(s.dh * s.kv_heads), qkv_ld(q_cols + 2 * kv_cols + tail), o_ld(q_cols + tail),
          rows(n + ROWS_AROUND), qkv(rows * qkv_ld), d_o(rows * o_ld), o(rows * o_ld), d_qkv(rows * qkv_ld), lse((size_t) rows * s.heads),
          delta((size_t) rows * s.heads), segments(n) {
        std::vector<int32_t> first;
        for (int length : s.lengths) {
            first.insert(first.end(), length, (int32_t) first.size());
        }
        segments.upload(first);
    }

    attention_args<T> args() const {
        attention_args<T> p = {};
        p.q = qkv.data, p.k = p.q + q_cols, p.v = p.k + kv_cols, p.d_o = d_o.data, p.segments = segments.data;
        p.o = o.data, p.dq = d_qkv.data, p.dk = p.dq + q_cols, p.dv = p.dk + kv_cols, p.lse = lse.data, p.delta = delta.data;
        p.n = n, p.dh = s.dh, p.heads = s.heads, p.kv_heads = s.kv_heads, p.window = s.window;
        p.q_ld = p.k_ld = p.v_ld = p.dq_ld = p.dk_ld = p.dv_ld = qkv_ld;
        p.o_ld = p.do_ld = o_ld;
        p.scale = 1.0f / sqrtf((float) s.dh);
        return p;
    }
};
