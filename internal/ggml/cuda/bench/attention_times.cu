#include "attention_times.cuh"

#include "../attention_backward_kv.cuh"
#include "../attention_backward_q.cuh"
#include "../attention_forward.cuh"
#include "../attention_launch.cuh"
#include "attention_case.cuh"

#include <algorithm>
#include <functional>
#include <string>

namespace {

const std::vector<shape> SHAPES = {
    {{2048, 2048, 2048, 2048}, 128, 28, 4, 0},
    {{8192}, 128, 28, 4, 0},
    {{32768}, 128, 28, 4, 0},
    {std::vector<int>(8, 1024), 64, 14, 2, 0},
};

template <typename T> __global__ void scatter_values(T * x, int64_t n, uint32_t seed) {
    for (int64_t i = (int64_t) blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (int64_t) gridDim.x * blockDim.x) {
        uint32_t h = (uint32_t) i * 2654435761u + seed;
        h = (h ^ (h >> 15)) * 2246822519u;
        h ^= h >> 13;
        x[i] = from_f32<T>((float) (h & 0xffff) / 32768.0f - 1.0f);
    }
}

template <typename T> void set_inputs(problem<T> & x) {
    scatter_values<<<1024, 256>>>(x.qkv.data, (int64_t) x.qkv.n, 1u);
    scatter_values<<<1024, 256>>>(x.d_o.data, (int64_t) x.d_o.n, 2u);
    CHECK(cudaGetLastError());
}

// Median milliseconds of twenty launches.
double median(const std::function<cudaError_t()> & launch) {
    cudaEvent_t start, stop;
    CHECK(cudaEventCreate(&start));
    CHECK(cudaEventCreate(&stop));
    std::vector<float> times(20);
    for (int i = -3; i < (int) times.size(); i++) {
        float ms = 0;
        CHECK(cudaEventRecord(start));
        CHECK(launch());
        CHECK(cudaEventRecord(stop));
        CHECK(cudaEventSynchronize(stop));
        CHECK(cudaEventElapsedTime(&ms, start, stop));
        if (i >= 0) {
            times[(size_t) i] = ms;
        }
    }
    CHECK(cudaEventDestroy(start));
    CHECK(cudaEventDestroy(stop));
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
}

void print_row(const shape & s, const std::string & what, double ms, double flops) {
    printf("%2zu x %5d dh %3d heads %2d/%d  %-34s %8.3f ms %7.1f TFLOP/s\n", s.lengths.size(), s.lengths[0], s.dh, s.heads, s.kv_heads, what.c_str(),
           ms, flops / ms * 1e-9);
    fflush(stdout);
}

template <typename T> void time_shape(const shape & s, attention_tiles tiles, const std::string & label) {
    problem<T> x(s, 64);
    set_inputs(x);
    const auto   p       = x.args();
    const double flops   = s.flops();
    const double forward = median([&] { return attention_tensor_forward(p, tiles, nullptr); });
    const double delta   = median([&] { return attention_delta(p, nullptr); });
    const double dq      = median([&] { return attention_tensor_backward_q(p, tiles, nullptr); });
    const double dkv     = median([&] { return attention_tensor_backward_kv(p, tiles, nullptr); });
    print_row(s, label + " forward", forward, flops);
    print_row(s, label + " delta", delta, 0);
    print_row(s, label + " dQ (3 products)", dq, 1.5 * flops);
    print_row(s, label + " dK, dV (4 products)", dkv, 2 * flops);
    print_row(s, label + " backward (counted as 5)", delta + dq + dkv, 2.5 * flops);
}

template <typename Op> void time_variant(const shape & s, const attention_args<__nv_bfloat16> & p, const char * what, double products) {
    bool fits = false;
    CHECK(attention_fits<Op>(fits));
    if (!fits) {
        printf("%s does not fit\n", what);
        return;
    }
    int resident = 0;
    CHECK(cudaFuncSetAttribute(Op::kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Op::BYTES));
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, Op::kernel, Op::THREADS, Op::BYTES));
    const double ms = median([&] { return attention_launch<Op>(p, nullptr); });
    print_row(s, std::string(what) + " x" + std::to_string(resident), ms, products / 2 * s.flops());
}

#define VARIANT(op, products, ...) time_variant<op##_op<__nv_bfloat16, attention_config<__VA_ARGS__>>>(s, p, #op " " #__VA_ARGS__, products)

void variants_of_128(const shape & s, const attention_args<__nv_bfloat16> & p) {
    VARIANT(forward, 2, 128, 4, 2, 64, 2, true, 8);
    VARIANT(forward, 2, 128, 4, 2, 64, 2, true, 2);
    VARIANT(forward, 2, 128, 4, 2, 32, 2, true, 2);
    VARIANT(forward, 2, 128, 8, 1, 64, 1, true, 8);
    VARIANT(forward, 2, 128, 8, 2, 64, 1, true, 4);
    VARIANT(backward_q, 3, 128, 4, 2, 32, 2, true, 8);
    VARIANT(backward_q, 3, 128, 4, 2, 32, 2, true, 2);
    VARIANT(backward_q, 3, 128, 8, 1, 64, 1, true, 8);
    VARIANT(backward_q, 3, 128, 8, 2, 32, 1, true, 8);
    VARIANT(backward_kv, 4, 128, 8, 2, 64, 1, true, 8);
    VARIANT(backward_kv, 4, 128, 8, 2, 64, 1, true, 2);
    VARIANT(backward_kv, 4, 128, 8, 2, 32, 1, true, 8);
    VARIANT(backward_kv, 4, 128, 4, 2, 32, 2, true, 8);
}

void variants_of_64(const shape & s, const attention_args<__nv_bfloat16> & p) {
    VARIANT(forward, 2, 64, 4, 2, 64, 3, true, 2);
    VARIANT(forward, 2, 64, 4, 2, 64, 2, true, 8);
    VARIANT(forward, 2, 64, 4, 2, 128, 2, true, 2);
    VARIANT(forward, 2, 64, 4, 1, 64, 4, true, 8);
    VARIANT(backward_q, 3, 64, 4, 2, 64, 2, true, 2);
    VARIANT(backward_q, 3, 64, 4, 2, 32, 3, true, 8);
    VARIANT(backward_q, 3, 64, 4, 1, 64, 3, true, 8);
    VARIANT(backward_kv, 4, 64, 4, 2, 64, 2, true, 8);
    VARIANT(backward_kv, 4, 64, 4, 2, 32, 3, true, 8);
    VARIANT(backward_kv, 4, 64, 8, 2, 64, 1, true, 8);
}

} // namespace

void time_shapes() {
    for (const shape & s : SHAPES) {
        time_shape<__nv_bfloat16>(s, attention_tiles::automatic, "bf16");
    }
    time_shape<__half>(SHAPES[0], attention_tiles::automatic, "f16");
    time_shape<__half>(SHAPES[0], attention_tiles::small, "f16 small");
    time_shape<__half>(SHAPES[0], attention_tiles::turing, "f16 turing");
}

void time_variants() {
    for (const shape & s : SHAPES) {
        problem<__nv_bfloat16> x(s, 64);
        set_inputs(x);
        const auto p = x.args();
        CHECK(attention_tensor_forward(p, attention_tiles::automatic, nullptr));
        CHECK(attention_delta(p, nullptr));
        s.dh == 128 ? variants_of_128(s, p) : variants_of_64(s, p);
    }
}
