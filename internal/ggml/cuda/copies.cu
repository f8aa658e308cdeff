// Weights that pass through slots of device memory: copies run on a stream of their own, behind the compute of other layers.
// A slot is filled when the last product that read it is done, and read when the copy into it is done.
#include "plugin.h"
#include "session.cuh"

constexpr int SLOTS = 2;

struct qlora_copies {
    cudaStream_t stream;
    cudaEvent_t  ready[SLOTS], free[SLOTS];
};

static int report(cudaError_t e, const char * what) {
    if (e != cudaSuccess) {
        qlora_fail("%s: %s", what, cudaGetErrorString(e));
        return 1;
    }
    return 0;
}

static cudaError_t start(qlora_launch * s) {
    qlora_copies * c = new qlora_copies{};
    s->copies        = c;
    cudaError_t e    = cudaSetDevice(s->device);
    if (e == cudaSuccess) {
        e = cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking);
    }
    for (int i = 0; i < SLOTS && e == cudaSuccess; i++) {
        e = cudaEventCreateWithFlags(&c->ready[i], cudaEventDisableTiming);
        if (e == cudaSuccess) {
            e = cudaEventCreateWithFlags(&c->free[i], cudaEventDisableTiming);
        }
    }
    return e;
}

void qlora_copies_free(qlora_launch * s) {
    if (s->copies == nullptr) {
        return;
    }
    cudaStreamSynchronize(s->copies->stream);
    for (int i = 0; i < SLOTS; i++) {
        cudaEventDestroy(s->copies->ready[i]);
        cudaEventDestroy(s->copies->free[i]);
    }
    cudaStreamDestroy(s->copies->stream);
    delete s->copies;
}

extern "C" void * qlora_cuda_pinned(size_t size) {
    void * p = nullptr;
    if (report(cudaHostAlloc(&p, size, cudaHostAllocPortable), "allocate pinned host memory") != 0) {
        cudaGetLastError();
        return nullptr;
    }
    return p;
}

extern "C" void qlora_cuda_unpin(void * p) {
    cudaFreeHost(p);
}

extern "C" int qlora_cuda_fill_slot(void * session, int slot, void * dst, const void * src, size_t size) {
    qlora_launch * s = (qlora_launch *) session;
    cudaError_t    e = s->copies == nullptr ? start(s) : cudaSuccess;
    if (e == cudaSuccess) {
        e = cudaStreamWaitEvent(s->copies->stream, s->copies->free[slot], 0);
    }
    if (e == cudaSuccess) {
        e = cudaMemcpyAsync(dst, src, size, cudaMemcpyHostToDevice, s->copies->stream);
    }
    if (e == cudaSuccess) {
        e = cudaEventRecord(s->copies->ready[slot], s->copies->stream);
    }
    return report(e, "copy a layer's weights to the device");
}

extern "C" int qlora_cuda_enter_slot(void * session, int slot) {
    qlora_launch * s = (qlora_launch *) session;
    return report(cudaStreamWaitEvent(s->stream, s->copies->ready[slot], 0), "wait for a layer's weights");
}

extern "C" int qlora_cuda_leave_slot(void * session, int slot) {
    qlora_launch * s = (qlora_launch *) session;
    return report(cudaEventRecord(s->copies->free[slot], s->stream), "release a layer's weights");
}
