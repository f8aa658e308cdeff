#include "session.cuh"

#include "gemm.cuh"
#include "launch.cuh"
#include "profile.cuh"

#include <chrono>
#include <cstdarg>
#include <cstdio>

namespace {

thread_local char message[256];

qlora_launch_fn launcher(int kind) {
    switch (kind) {
#define QL_CASE(kind, name) \
    case QLORA_OP_##kind: return qlora_cuda_##name;
        QL_OPS(QL_CASE)
        default: return nullptr;
    }
}

const char * kind_name(int kind) {
    switch (kind) {
#define QL_NAME(kind, name) \
    case QLORA_OP_##kind: return #name;
        QL_OPS(QL_NAME)
        default: return "unknown";
    }
}

__global__ void probe() {}

cudaError_t describe(qlora_launch * s) {
    int                major, minor, shared;
    cudaFuncAttributes code;
    QL_TRY(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, s->device));
    QL_TRY(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, s->device));
    QL_TRY(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, s->device));
    QL_TRY(cudaFuncGetAttributes(&code, probe));
    s->shared     = (size_t) shared;
    s->capability = 10 * major + minor < code.ptxVersion ? 10 * major + minor : code.ptxVersion;
    return cudaSuccess;
}

constexpr size_t WORKSPACE = 64u << 20; // cuBLAS wants 32 MiB on Hopper; long sums are split into more

} // namespace

void qlora_fail(const char * format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
}

extern "C" __attribute__((visibility("default"))) const char * qlora_cuda_error(void) {
    return message;
}

qlora_launch * qlora_session_new(int device, cudaStream_t stream) {
    qlora_launch * s = new qlora_launch{};
    s->stream = stream, s->device = device, s->workspace_size = WORKSPACE;
    if (describe(s) != cudaSuccess || cublasLtCreate(&s->lt) != CUBLAS_STATUS_SUCCESS) {
        qlora_fail("cuBLAS could not be started on device %d", device);
        delete s;
        return nullptr;
    }
    if (cudaMalloc(&s->workspace, s->workspace_size) != cudaSuccess) {
        cudaGetLastError();
        qlora_fail("out of memory: no workspace for cuBLAS on device %d", device);
        cublasLtDestroy(s->lt);
        delete s;
        return nullptr;
    }
    s->plans   = qlora_plans_new();
    s->profile = qlora_profile_new();
    return s;
}

void qlora_session_free(qlora_launch * s) {
    cudaSetDevice(s->device);
    cudaStreamSynchronize(s->stream);
    qlora_copies_free(s);
    qlora_profile_free(s->profile, kind_name);
    qlora_plans_free(s->plans);
    cublasLtDestroy(s->lt);
    cudaFree(s->workspace);
    delete s;
}

static cudaError_t queue(const qlora_launch & l, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n) {
    cudaError_t e = cudaSetDevice(l.device);
    for (int i = 0; i < n; i++) {
        const qlora_launch_fn fn    = launcher(ops[i]->kind);
        const auto            start = std::chrono::steady_clock::now();
        if (e == cudaSuccess) {
            e = fn == nullptr ? cudaErrorNotSupported : fn(nodes[i], ops[i], l);
        }
        if (e != cudaSuccess) {
            qlora_fail("%s of %s: %s", kind_name(ops[i]->kind), nodes[i]->name, cudaGetErrorString(e));
            return e;
        }
        const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
        qlora_profile_mark(l.profile, ops[i]->kind, took.count(), l.stream);
    }
    return cudaSuccess;
}

// A list of nodes after its first run.
struct qlora_recording {
    cudaGraphExec_t exec; // null until the second
};

static cudaError_t record(const qlora_launch & l, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n, qlora_recording * r) {
    cudaGraph_t graph = nullptr;
    QL_TRY(cudaStreamBeginCapture(l.stream, cudaStreamCaptureModeThreadLocal));
    const cudaError_t queued = queue(l, nodes, ops, n), ended = cudaStreamEndCapture(l.stream, &graph);
    if (queued != cudaSuccess || ended != cudaSuccess) {
        return queued != cudaSuccess ? queued : ended;
    }
    const cudaError_t made = cudaGraphInstantiateWithFlags(&r->exec, graph, 0);
    cudaGraphDestroy(graph);
    return made;
}

// The first run queues node by node, which also lets cuBLAS choose and CUDA load what it needs; the second records that into
// a CUDA graph, and every later one costs the host a single launch.
extern "C" __attribute__((visibility("default"))) int qlora_cuda_run(void * session, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n,
                                                                     void ** recording) {
    const qlora_launch & l = *(const qlora_launch *) session;
    qlora_recording *    r = (qlora_recording *) *recording;
    if (r == nullptr || l.profile != nullptr) {
        if (queue(l, nodes, ops, n) != cudaSuccess) {
            return 1;
        }
        *recording = r == nullptr ? new qlora_recording{} : r;
        return 0;
    }
    cudaError_t e = cudaSetDevice(l.device);
    if (e == cudaSuccess && r->exec == nullptr) {
        e = record(l, nodes, ops, n, r);
    }
    if (e == cudaSuccess) {
        e = cudaGraphLaunch(r->exec, l.stream);
    }
    if (e != cudaSuccess) {
        qlora_fail("%d nodes around %s: %s", n, nodes[0]->name, cudaGetErrorString(e));
        return 1;
    }
    return 0;
}

extern "C" __attribute__((visibility("default"))) void qlora_cuda_forget(void * recording) {
    qlora_recording * r = (qlora_recording *) recording;
    if (r != nullptr && r->exec != nullptr) {
        cudaGraphExecDestroy(r->exec);
    }
    delete r;
}
