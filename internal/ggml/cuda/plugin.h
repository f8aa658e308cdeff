// What libqlora-cuda.so exports besides ggml's own ggml_backend_init.
#pragma once
#include "device.h"
#include "ggml-backend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QLORA_EXPORT __attribute__((visibility("default")))

struct qlora_op;

// Hash of the headers the module was built with; the binary refuses a module whose stamp is not its own.
QLORA_EXPORT const char * qlora_cuda_stamp(void);
// A session computes training nodes on the stream of a backend of this module. NULL with qlora_cuda_error set on failure.
QLORA_EXPORT void * qlora_cuda_open(ggml_backend_t backend);
QLORA_EXPORT void   qlora_cuda_close(void * session);
// Queues n nodes in order. Returns 0, or 1 with qlora_cuda_error set. *recording starts as NULL and belongs to this list of
// nodes, which must stay as it is: how to run it faster is kept there, until qlora_cuda_forget.
QLORA_EXPORT int  qlora_cuda_run(void * session, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n, void ** recording);
QLORA_EXPORT void qlora_cuda_forget(void * recording);
// Host memory that copies to and from the device run at full speed from; NULL with qlora_cuda_error set on failure.
QLORA_EXPORT void * qlora_cuda_pinned(size_t size);
QLORA_EXPORT void   qlora_cuda_unpin(void * p);
// Two slots of device memory that weights pass through. Filling one waits until the device has left it; entering waits
// until it is filled. All three return 0, or 1 with qlora_cuda_error set, and none of them waits on the host.
QLORA_EXPORT int qlora_cuda_fill_slot(void * session, int slot, void * dst, const void * src, size_t size);
QLORA_EXPORT int qlora_cuda_enter_slot(void * session, int slot);
QLORA_EXPORT int qlora_cuda_leave_slot(void * session, int slot);
// What went wrong in this thread's last failing call.
QLORA_EXPORT const char * qlora_cuda_error(void);

// Describes device index, as CUDA numbers them. Returns 0, or a cudaError_t.
QLORA_EXPORT int qlora_cuda_device_info(int index, struct qlora_device_info * info);
// The CUDA runtime in the module and the newest that the driver knows, as 1000 * major + 10 * minor; 0 without a driver.
QLORA_EXPORT void qlora_cuda_versions(int * runtime, int * driver);
// What the module was compiled for, as CMake names it: "75-real 80-real 90".
QLORA_EXPORT const char * qlora_cuda_architectures(void);
// Sends the messages and the last words of the module's own copy of ggml to the binary.
QLORA_EXPORT void qlora_cuda_set_log(ggml_log_callback log, ggml_abort_callback_t abort);

#ifdef __cplusplus
}
#endif
