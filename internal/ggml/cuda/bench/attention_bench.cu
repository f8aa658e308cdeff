// Checks the attention kernels on a device against the plain F32 ones and times them. In this folder:
//
//   nvcc -O3 -std=c++17 -arch=sm_90 -o attention_bench attention_bench.cu attention_times.cu ../attention_forward.cu
//       ../attention_backward_q.cu ../attention_backward_kv.cu ../attention_delta.cu ../attention_plain.cu
//   ./attention_bench [check|time|variants]...
#include "attention_case.cuh"
#include "attention_times.cuh"

#include <algorithm>
#include <string>

namespace {

enum class kernels { automatic, large, small, turing, plain };

constexpr const char * NAMES[] = {"auto", "large", "small", "turing", "plain"};
constexpr float        SENTINEL = -7.0f;

template <typename T> T from_float(float x) {
    if constexpr (std::is_same_v<T, float>) {
        return x;
    } else if constexpr (std::is_same_v<T, __half>) {
        return __float2half_rn(x);
    } else {
        return __float2bfloat16_rn(x);
    }
}

template <typename T> float to_float(T x) {
    if constexpr (std::is_same_v<T, float>) {
        return x;
    } else if constexpr (std::is_same_v<T, __half>) {
        return __half2float(x);
    } else {
        return __bfloat162float(x);
    }
}

// Values of T in the first `cols` columns of the first n rows, NaN around them; the same for every buffer stride.
template <typename T> void fill(device_array<T> & to, int n, int ld, int cols, int seed, const std::vector<float> & values) {
    std::vector<T> host(to.n, from_float<T>(NAN));
    for (int64_t t = 0; t < n; t++) {
        for (int i = 0; i < cols; i++) {
            host[t * ld + i] = from_float<T>(values[((size_t) seed + t * cols + i) % values.size()]);
        }
    }
    to.upload(host);
}

// What the rounded inputs hold, so that both precisions start from the same numbers.
template <typename T> std::vector<float> rounded_values() {
    std::mt19937                    random(20240229);
    std::normal_distribution<float> normal;
    std::vector<float>              values(1000003);
    for (float & x : values) {
        x = to_float(from_float<T>(normal(random)));
    }
    return values;
}

template <typename T> struct results {
    std::vector<T>     o, d_qkv;
    std::vector<float> lse;
};

template <typename T> cudaError_t launch(const attention_args<T> & p, kernels which) {
    if (which == kernels::plain) {
        QL_TRY(attention_plain_forward(p, nullptr));
        QL_TRY(attention_delta(p, nullptr));
        return attention_plain_backward(p, nullptr);
    }
    if constexpr (sizeof(T) == 2) {
        const auto tiles = (attention_tiles) which;
        QL_TRY(attention_tensor_forward(p, tiles, nullptr));
        QL_TRY(attention_delta(p, nullptr));
        QL_TRY(attention_tensor_backward_q(p, tiles, nullptr));
        return attention_tensor_backward_kv(p, tiles, nullptr);
    }
    return cudaErrorInvalidValue;
}

// False where this build or this device has no such kernels.
template <typename T> bool compute(problem<T> & x, kernels which, results<T> & out) {
    x.o.upload(std::vector<T>(x.o.n, from_float<T>(SENTINEL)));
    x.d_qkv.upload(std::vector<T>(x.d_qkv.n, from_float<T>(SENTINEL)));
    x.lse.upload(std::vector<float>(x.lse.n, SENTINEL));
    CHECK(cudaMemset(x.delta.data, 0xff, x.delta.n * sizeof(float)));
    const cudaError_t err = launch(x.args(), which);
    if (err == cudaErrorNotSupported) {
        return false;
    }
    CHECK(err);
    CHECK(cudaDeviceSynchronize());
    out = {x.o.download(), x.d_qkv.download(), x.lse.download()};
    return true;
}

template <typename T> void set_inputs(problem<T> & x, const std::vector<float> & values) {
    fill(x.qkv, x.n, x.qkv_ld, x.q_cols + 2 * x.kv_cols, 0, values);
    fill(x.d_o, x.n, x.o_ld, x.q_cols, 12345, values);
}

// Largest difference over the largest value of columns [from, from + cols); infinite where either is not a number.
template <typename T> double error_of(const std::vector<T> & got, int ld, const std::vector<float> & want, int want_ld, int n, int from, int cols) {
    double worst = 0, top = 0.05;
    for (int64_t t = 0; t < n; t++) {
        for (int i = from; i < from + cols; i++) {
            const double g = to_float(got[t * ld + i]), w = want[t * want_ld + i], d = std::fabs(g - w);
            if (!(d <= 1e30)) {
                return INFINITY;
            }
            worst = std::max(worst, d);
            top   = std::max(top, std::fabs(w));
        }
    }
    return worst / top;
}

template <typename T> bool untouched(const std::vector<T> & buffer, int ld, int n, int cols) {
    for (size_t i = 0; i < buffer.size(); i++) {
        if (((int64_t) i >= (int64_t) n * ld || (int) (i % ld) >= cols) && to_float(buffer[i]) != SENTINEL) {
            return false;
        }
    }
    return true;
}

template <typename T> bool same(const std::vector<T> & a, const std::vector<T> & b) {
    return memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

struct tally {
    int passed = 0, failed = 0, skipped = 0;
};

template <typename T> void check(const shape & s, kernels which, tally & all) {
    static const std::vector<float> values = rounded_values<T>();
    problem<T>                      x(s, 24);
    problem<float>                  reference(s, 0);
    results<T>                      got, again;
    results<float>                  want;
    set_inputs(x, values);
    set_inputs(reference, values);
    printf("%-4s %-6s dh %3d heads %2d/%d window %3d tokens %5d in %2zu: ",
           std::is_same_v<T, float> ? "f32" : std::is_same_v<T, __half> ? "f16" : "bf16", NAMES[(int) which], s.dh, s.heads, s.kv_heads, s.window,
           x.n, s.lengths.size());
    if (!compute(x, which, got)) {
        printf("SKIP: not in this build or not on this device\n");
        all.skipped++;
        return;
    }
    compute(x, which, again);
    compute(reference, kernels::plain, want);
    const int    q = x.q_cols, kv = x.kv_cols, n = x.n, ld = x.qkv_ld, want_ld = reference.qkv_ld;
    const double o = error_of(got.o, x.o_ld, want.o, q, n, 0, q), lse = error_of(got.lse, s.heads, want.lse, s.heads, n, 0, s.heads),
                 dq = error_of(got.d_qkv, ld, want.d_qkv, want_ld, n, 0, q), dk = error_of(got.d_qkv, ld, want.d_qkv, want_ld, n, q, kv),
                 dv = error_of(got.d_qkv, ld, want.d_qkv, want_ld, n, q + kv, kv);
    const double limit   = std::is_same_v<T, float> ? 1e-5 : std::is_same_v<T, __half> ? 3e-3 : 2e-2;
    const bool   inside  = untouched(got.o, x.o_ld, n, q) && untouched(got.d_qkv, ld, n, q + 2 * kv) && untouched(got.lse, s.heads, n, s.heads);
    const bool   repeats = same(got.o, again.o) && same(got.lse, again.lse) && same(got.d_qkv, again.d_qkv);
    const bool   ok      = inside && repeats && std::max({o, dq, dk, dv}) <= limit && lse <= 3e-5;
    printf("O %.1e LSE %.1e dQ %.1e dK %.1e dV %.1e%s%s %s\n", o, lse, dq, dk, dv, inside ? "" : " WROTE OUTSIDE",
           repeats ? "" : " DIFFERS WHEN REPEATED", ok ? "PASS" : "FAIL");
    fflush(stdout);
    (ok ? all.passed : all.failed)++;
}

void check_head_size(int dh, tally & all) {
    std::vector<shape> shapes = {
        {{1}, dh, 1, 1, 0},
        {{129}, dh, 2, 2, 0},
        {{1, 130, 3, 67, 1, 64, 200, 33}, dh, 2, 1, 0},
        {{90, 1, 1, 350, 77}, dh, 7, 1, 40},
        {{300, 211}, dh, 14, 2, 17},
        {{256, 128, 640}, dh, 4, 2, 0},
        {{5, 1257}, dh, 7, 1, 0},
    };
    if (dh % 64 == 0) {
        shapes.push_back({{1000, 31000, 1100}, dh, 2, 1, 150}); // more tiles than are ranked
    }
    for (const shape & s : shapes) {
        for (kernels which : {kernels::automatic, kernels::small, kernels::turing}) {
            check<__half>(s, which, all);
        }
        check<__nv_bfloat16>(s, kernels::automatic, all);
        check<__nv_bfloat16>(s, kernels::small, all);
    }
}

void check_plain(tally & all) {
    for (int dh : {40, 64, 256}) {
        const shape s = {{1, 130, 3, 67}, dh, 4, 2, 50};
        check<float>(s, kernels::plain, all);
        check<__half>(s, kernels::plain, all);
        check<__nv_bfloat16>(s, kernels::plain, all);
    }
}

} // namespace

int main(int argc, char ** argv) {
    cudaDeviceProp device;
    CHECK(cudaGetDeviceProperties(&device, 0));
    printf("%s, sm_%d%d, %d multiprocessors, %zu KiB of shared memory a block\n", device.name, device.major, device.minor,
           device.multiProcessorCount, device.sharedMemPerBlockOptin / 1024);
    const auto wanted = [&](const char * what) {
        for (int i = 1; i < argc; i++) {
            if (what == std::string(argv[i])) {
                return true;
            }
        }
        return argc == 1;
    };
    tally all;
    if (wanted("check")) {
        check_plain(all);
        for (int dh : {32, 64, 96, 128}) {
            check_head_size(dh, all);
        }
        printf("%s: %d passed, %d failed, %d skipped\n", all.failed ? "FAIL" : "PASS", all.passed, all.failed, all.skipped);
    }
    if (wanted("time")) {
        time_shapes();
    }
    if (wanted("variants")) {
        time_variants();
    }
    return all.failed != 0;
}
