// What a backend of this module keeps between nodes: the stream they run on, cuBLASLt with its workspace, and the products
// it has planned.
#pragma once
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

struct qlora_plans;
struct qlora_profile;
struct qlora_copies;

struct qlora_launch {
    cudaStream_t     stream;
    int              device;
    int              capability; // of the device or of the module's code, whichever is less: 75, 80, 90
    size_t           shared;     // bytes of shared memory a block may ask for
    cublasLtHandle_t lt;
    void *           workspace;
    size_t           workspace_size;
    qlora_plans *    plans;
    qlora_copies *   copies;  // null until a slot is filled
    qlora_profile *  profile; // null unless QLORA_CUDA_PROFILE names a file
};

// NULL with qlora_cuda_error set when something cannot be started.
qlora_launch * qlora_session_new(int device, cudaStream_t stream);
void           qlora_session_free(qlora_launch * session);
void           qlora_copies_free(qlora_launch * session);
void           qlora_fail(const char * format, ...) __attribute__((format(printf, 1, 2)));
