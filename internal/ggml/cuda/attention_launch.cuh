// How a tensor-core attention kernel is chosen and launched. An operation Op<T, C> names its kernel, its rows a block, its
// shared memory, and the heads that its grid runs over.
#pragma once
#include "attention_tile.cuh"

template <typename Op, typename T> cudaError_t attention_launch(const attention_args<T> & p, cudaStream_t stream) {
    QL_TRY(cudaFuncSetAttribute(Op::kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, Op::BYTES));
    // heads run fastest, so that those of one group, which share keys and values, run together
    Op::kernel<<<dim3((unsigned) Op::heads(p), (unsigned) blocks_for(p.n, Op::ROWS)), Op::THREADS, Op::BYTES, stream>>>(p);
    return cudaGetLastError();
}

// Whether the current device runs Op: a kernel can do what its code was compiled for, even where the card can do more.
template <typename Op> cudaError_t attention_fits(bool & fits) {
    int                device, major, minor, shared;
    cudaFuncAttributes code;
    QL_TRY(cudaGetDevice(&device));
    QL_TRY(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
    QL_TRY(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device));
    QL_TRY(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    QL_TRY(cudaFuncGetAttributes(&code, Op::kernel));
    const int card = 10 * major + minor;
    fits = (card < code.ptxVersion ? card : code.ptxVersion) >= (Op::ASYNC ? 80 : 75) && shared >= Op::BYTES;
    return cudaSuccess;
}

template <typename T> bool attention_aligned(const void * base, int64_t ld) {
    return base == nullptr || ((uintptr_t) base % 16 == 0 && ld % (16 / (int64_t) sizeof(T)) == 0);
}

// What the tensor-core kernels ask of their arguments beyond the head size.
template <typename T> bool attention_valid(const attention_args<T> & p) {
    return p.scale > 0 && p.n > 0 && p.n < INT_MAX - 1024 && p.window < INT_MAX && attention_aligned<T>(p.q, p.q_ld) &&
           attention_aligned<T>(p.k, p.k_ld) && attention_aligned<T>(p.v, p.v_ld) && attention_aligned<T>(p.o, p.o_ld) &&
           attention_aligned<T>(p.d_o, p.do_ld) && attention_aligned<T>(p.dq, p.dq_ld) && attention_aligned<T>(p.dk, p.dk_ld) &&
           attention_aligned<T>(p.dv, p.dv_ld);
}

// Launches Op where its tiles are wanted and the device runs it; otherwise leaves `launched` alone.
template <typename Op, typename T>
cudaError_t attention_try(const attention_args<T> & p, bool wanted, cudaStream_t stream, bool & launched) {
    bool fits = false;
    if (wanted && !launched) {
        QL_TRY(attention_fits<Op>(fits));
    }
    if (fits) {
        launched = true;
        return attention_launch<Op>(p, stream);
    }
    return cudaSuccess;
}

// Launches the first of the three that the device runs, or the one asked for. f16 alone has one for sm_75.
template <template <typename, typename> class Op, typename T, typename Large, typename Small, typename Turing>
cudaError_t attention_choose(const attention_args<T> & p, attention_tiles tiles, cudaStream_t stream) {
    const bool any      = tiles == attention_tiles::automatic;
    bool       launched = false;
    if (!attention_valid(p)) {
        return cudaErrorInvalidValue;
    }
    using large = Op<T, Large>;
    using small = Op<T, Small>;
    static_assert(small::BYTES <= 99 * 1024, "sm_86 and sm_89 give a block 99 KiB of shared memory");
    static_assert(large::BYTES <= 227 * 1024, "sm_90 gives a block 227 KiB of shared memory");
    QL_TRY(attention_try<large>(p, any || tiles == attention_tiles::large, stream, launched));
    QL_TRY(attention_try<small>(p, any || tiles == attention_tiles::small, stream, launched));
    if constexpr (std::is_same_v<T, __half>) {
        using turing = Op<T, Turing>;
        static_assert(turing::BYTES <= 64 * 1024, "sm_75 gives a block 64 KiB of shared memory");
        QL_TRY(attention_try<turing>(p, any || tiles == attention_tiles::turing, stream, launched));
    }
    return launched ? cudaSuccess : cudaErrorNotSupported;
}

// Calls fn with the head size as a constant.
template <typename F> cudaError_t attention_with_head_size(int64_t dh, F && fn) {
    switch (dh) {
        case 32: return fn(std::integral_constant<int, 32>{});
        case 64: return fn(std::integral_constant<int, 64>{});
        case 96: return fn(std::integral_constant<int, 96>{});
        case 128: return fn(std::integral_constant<int, 128>{});
        default: return cudaErrorInvalidValue;
    }
}
