// The module's entry points. ggml-cuda makes the backend; attaching puts our graph_compute in front of its own: runs of
// nodes that are not ours go to the original, ours are launched on the same stream.
#include "ggml-backend-impl.h"
#include "ggml-impl.h"
#include "ggml-cuda/common.cuh"

extern "C" {
#include "../ops.h"
}
#include "plugin.h"

#include <map>
#include <mutex>

// launch.cuh declares these over the pinned struct; here ggml's own, which is the same, is in scope.
struct qlora_launch {
    cudaStream_t   stream;
    cublasHandle_t cublas;
    int            device;
};
typedef cudaError_t (*qlora_launch_fn)(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);

#define QL_OPS(X)                                                                                                                  \
    X(LINEAR, linear) X(LINEAR_BACK, linear_back) X(OUTER, outer) X(BIAS_BACK, bias_back) X(NORM, norm) X(NORM_BACK, norm_back)    \
    X(NORM_BACK_W, norm_back_w) X(ROPE_TABLE, rope_table) X(ROPE, rope) X(ATTN, attn) X(ATTN_BACK, attn_back) X(SWIGLU, swiglu)    \
    X(SWIGLU_BACK, swiglu_back) X(ADD, add) X(DROPOUT, dropout) X(EMBED, embed) X(EMBED_BACK, embed_back) X(GATHER, gather)        \
    X(SCATTER, scatter) X(LOSS, loss) X(ADAMW, adamw) X(SUM_SQUARES, sum_squares)

#define QL_DECLARE(kind, name) cudaError_t qlora_cuda_##name(ggml_tensor * dst, const qlora_op * op, const qlora_launch & l);
QL_OPS(QL_DECLARE)

namespace {

qlora_launch_fn launcher(int kind) {
    switch (kind) {
#define QL_CASE(kind, name) \
    case QLORA_OP_##kind: return qlora_cuda_##name;
        QL_OPS(QL_CASE)
        default: return nullptr;
    }
}

struct attachment {
    ggml_status (*compute)(ggml_backend_t, ggml_cgraph *, int);
    cublasHandle_t cublas;
};

std::mutex                            lock;
std::map<ggml_backend_t, attachment> attached;
thread_local char                     message[256];

struct custom_params {
    ggml_custom_op_t fun;
    int              n_tasks;
    void *           userdata;
};

const qlora_op * ours(const ggml_tensor * node) {
    if (node->op != GGML_OP_CUSTOM) {
        return nullptr;
    }
    custom_params p;
    memcpy(&p, node->op_params, sizeof p);
    const qlora_op * op = (const qlora_op *) p.userdata;
    return op != nullptr && op->magic == QLORA_OP_MAGIC ? op : nullptr;
}

ggml_status run_foreign(const attachment & a, ggml_backend_t backend, ggml_cgraph * graph, int from, int to, int batch) {
    if (from == to) {
        return GGML_STATUS_SUCCESS;
    }
    ggml_cgraph view = ggml_graph_view(graph, from, to);
    return a.compute(backend, &view, batch);
}

ggml_status compute(ggml_backend_t backend, ggml_cgraph * graph, int batch) {
    attachment a;
    {
        std::lock_guard<std::mutex> guard(lock);
        a = attached.at(backend);
    }
    ggml_backend_cuda_context * context = (ggml_backend_cuda_context *) backend->context;
    ggml_cuda_set_device(context->device);
    const qlora_launch l = {context->stream(), a.cublas, context->device};
    int                foreign = 0; // first node of the current run that is not ours
    for (int i = 0; i < graph->n_nodes; i++) {
        const qlora_op * op = ours(graph->nodes[i]);
        if (op == nullptr) {
            continue;
        }
        const ggml_status status = run_foreign(a, backend, graph, foreign, i, batch);
        if (status != GGML_STATUS_SUCCESS) {
            return status;
        }
        foreign = i + 1;
        const qlora_launch_fn fn  = launcher(op->kind);
        const cudaError_t     err = fn == nullptr ? cudaErrorNotSupported : fn(graph->nodes[i], op, l);
        if (err != cudaSuccess) {
            snprintf(message, sizeof message, "operation %d on %s: %s", op->kind, graph->nodes[i]->name, cudaGetErrorString(err));
            return GGML_STATUS_FAILED;
        }
    }
    return run_foreign(a, backend, graph, foreign, graph->n_nodes, batch);
}

} // namespace

extern "C" const char * qlora_cuda_stamp(void) {
    return QLORA_STAMP;
}

extern "C" const char * qlora_cuda_error(void) {
    return message;
}

extern "C" int qlora_cuda_attach(ggml_backend_t backend) {
    ggml_backend_cuda_context * context = (ggml_backend_cuda_context *) backend->context;
    attachment                  a       = {backend->iface.graph_compute, nullptr};
    ggml_cuda_set_device(context->device);
    if (cublasCreate(&a.cublas) != CUBLAS_STATUS_SUCCESS || cublasSetStream(a.cublas, context->stream()) != CUBLAS_STATUS_SUCCESS) {
        snprintf(message, sizeof message, "cuBLAS could not be started on device %d", context->device);
        return 1;
    }
    std::lock_guard<std::mutex> guard(lock);
    attached[backend]            = a;
    backend->iface.graph_compute = compute;
    return 0;
}

extern "C" void qlora_cuda_detach(ggml_backend_t backend) {
    std::lock_guard<std::mutex> guard(lock);
    const auto                  found = attached.find(backend);
    if (found != attached.end()) {
        backend->iface.graph_compute = found->second.compute;
        cublasDestroy(found->second.cublas);
        attached.erase(found);
    }
}
