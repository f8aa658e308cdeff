// What libqlora-cuda.so exports besides ggml's own ggml_backend_init.
#pragma once
#include "ggml-backend.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QLORA_EXPORT __attribute__((visibility("default")))

// Hash of the headers the module was built with; the binary refuses a module whose stamp is not its own.
QLORA_EXPORT const char * qlora_cuda_stamp(void);
// Makes a backend of this module compute training nodes. Returns 0, or 1 with qlora_cuda_error set.
QLORA_EXPORT int qlora_cuda_attach(ggml_backend_t backend);
QLORA_EXPORT void qlora_cuda_detach(ggml_backend_t backend);
// What went wrong in this thread's last failing call.
QLORA_EXPORT const char * qlora_cuda_error(void);

#ifdef __cplusplus
}
#endif
