// Joins a session to a backend of ggml-cuda: training nodes run on the backend's own stream, so that copies made through
// ggml keep their order with them.
#include "ggml-backend-impl.h"
#include "ggml-impl.h"
#include "ggml-cuda/common.cuh"

#include "plugin.h"
#include "session.cuh"

extern "C" const char * qlora_cuda_stamp(void) {
    return QLORA_STAMP;
}

extern "C" void * qlora_cuda_open(ggml_backend_t backend) {
    ggml_backend_cuda_context * context = (ggml_backend_cuda_context *) backend->context;
    ggml_cuda_set_device(context->device);
    return qlora_session_new(context->device, context->stream());
}

extern "C" void qlora_cuda_close(void * session) {
    qlora_session_free((qlora_launch *) session);
}
