// Sums of gradients over GPUs by NCCL, which is opened at run time: the module needs neither its headers to be built nor the
// library to be loaded. ../nccl.h is the contract.
#include "ggml-backend-impl.h"
#include "ggml-cuda/common.cuh"

extern "C" {
#include "../nccl.h"
}
#include "plugin.h"

#include <dlfcn.h>
#include <mutex>

namespace {

// The part of NCCL's interface that is used here, the same in every 2.x.
struct nccl_comm;
struct nccl_id {
    char bytes[QLORA_NCCL_ID_BYTES];
};
enum { NCCL_SUCCESS = 0, NCCL_IN_PROGRESS = 7 };
enum { NCCL_FLOAT32 = 7 };
enum { NCCL_SUM = 0 };

struct library {
    int (*get_unique_id)(nccl_id * id);
    int (*comm_init_rank)(nccl_comm ** comm, int world, nccl_id id, int rank);
    int (*all_reduce)(const void * send, void * receive, size_t count, int type, int op, nccl_comm * comm, cudaStream_t stream);
    int (*comm_get_async_error)(nccl_comm * comm, int * error);
    int (*comm_abort)(nccl_comm * comm);
    int (*comm_destroy)(nccl_comm * comm);
    const char * (*get_error_string)(int error);
    char reason[QLORA_NCCL_WHY_BYTES]; // why it cannot be used, empty when it can
};

template <typename F> bool find(library & l, void * handle, const char * name, F & out) {
    out = (F) dlsym(handle, name);
    if (out == nullptr) {
        snprintf(l.reason, sizeof l.reason, "libnccl does not export %s", name);
    }
    return out != nullptr;
}

void open(library & l) {
    const char * named  = getenv("NCCL_LIBRARY");
    const char * path   = named != nullptr && *named != '\0' ? named : "libnccl.so.2";
    void *       handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        snprintf(l.reason, sizeof l.reason, "%s", dlerror());
        return;
    }
    find(l, handle, "ncclGetUniqueId", l.get_unique_id) && find(l, handle, "ncclCommInitRank", l.comm_init_rank) &&
        find(l, handle, "ncclAllReduce", l.all_reduce) && find(l, handle, "ncclCommGetAsyncError", l.comm_get_async_error) &&
        find(l, handle, "ncclCommAbort", l.comm_abort) && find(l, handle, "ncclCommDestroy", l.comm_destroy) &&
        find(l, handle, "ncclGetErrorString", l.get_error_string);
}

// The library, opened once and kept.
const library & nccl() {
    static library        l = {};
    static std::once_flag once;
    std::call_once(once, [] { open(l); });
    return l;
}

int explain(char * why, const char * what, const char * text) {
    snprintf(why, QLORA_NCCL_WHY_BYTES, "%s: %s", what, text);
    return 1;
}

int check(int status, char * why, const char * what) {
    return status == NCCL_SUCCESS ? 0 : explain(why, what, nccl().get_error_string(status));
}

} // namespace

struct qlora_communicator {
    ggml_backend_cuda_context * context;
    nccl_comm *                 comm;
};

extern "C" {

QLORA_EXPORT int qlora_cuda_nccl_available(char * why) {
    snprintf(why, QLORA_NCCL_WHY_BYTES, "%s", nccl().reason);
    return nccl().reason[0] != '\0';
}

QLORA_EXPORT int qlora_cuda_nccl_unique_id(char * id, char * why) {
    nccl_id made;
    if (check(nccl().get_unique_id(&made), why, "ncclGetUniqueId") != 0) {
        return 1;
    }
    memcpy(id, made.bytes, sizeof made.bytes);
    return 0;
}

QLORA_EXPORT int qlora_cuda_nccl_init(void * backend, const char * id, int rank, int world, qlora_communicator ** out, char * why) {
    ggml_backend_cuda_context * context = (ggml_backend_cuda_context *) ((ggml_backend_t) backend)->context;
    nccl_id                     shared;
    memcpy(shared.bytes, id, sizeof shared.bytes);
    ggml_cuda_set_device(context->device);
    nccl_comm * comm = nullptr;
    if (check(nccl().comm_init_rank(&comm, world, shared, rank), why, "ncclCommInitRank") != 0) {
        return 1;
    }
    *out = new qlora_communicator{context, comm};
    return 0;
}

QLORA_EXPORT int qlora_cuda_nccl_all_reduce(qlora_communicator * c, void * data, size_t n, char * why) {
    ggml_cuda_set_device(c->context->device);
    return check(nccl().all_reduce(data, data, n, NCCL_FLOAT32, NCCL_SUM, c->comm, c->context->stream()), why, "ncclAllReduce");
}

QLORA_EXPORT int qlora_cuda_nccl_poll(qlora_communicator * c, char * why) {
    int error = NCCL_SUCCESS;
    if (check(nccl().comm_get_async_error(c->comm, &error), why, "ncclCommGetAsyncError") != 0) {
        return QLORA_NCCL_FAILED;
    }
    if (error != NCCL_SUCCESS && error != NCCL_IN_PROGRESS) {
        explain(why, "ncclAllReduce", nccl().get_error_string(error));
        return QLORA_NCCL_FAILED;
    }
    ggml_cuda_set_device(c->context->device);
    const cudaError_t state = cudaStreamQuery(c->context->stream());
    if (state == cudaErrorNotReady) {
        return QLORA_NCCL_PENDING;
    }
    if (state != cudaSuccess) {
        explain(why, "ncclAllReduce", cudaGetErrorString(state));
        return QLORA_NCCL_FAILED;
    }
    return QLORA_NCCL_DONE;
}

QLORA_EXPORT void qlora_cuda_nccl_destroy(qlora_communicator * c, int lost) {
    ggml_cuda_set_device(c->context->device);
    if (lost) {
        nccl().comm_abort(c->comm);
    } else {
        nccl().comm_destroy(c->comm);
    }
    delete c;
}

} // extern "C"
