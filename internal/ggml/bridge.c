#include "bridge.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

static void on_log(int32_t level, const char * text, void * user_data) {
    (void) user_data;
    qloraGGMLLog(level, (char *) text);
}

// ggml ends the process after this returns; the message at least reaches the log.
static void on_abort(const char * message) {
    qloraGGMLLog(4, (char *) message);
}

void qlora_install_log(void) {
    ggml_log_set(on_log, NULL);
    ggml_set_abort_callback(on_abort);
}

ggml_backend_t qlora_cpu_backend(int threads, ggml_threadpool_t * pool) {
    ggml_backend_t backend = ggml_backend_cpu_init();
    if (backend == NULL) {
        return NULL;
    }
    struct ggml_threadpool_params params = ggml_threadpool_params_default(threads);
    *pool = ggml_threadpool_new(&params);
    ggml_backend_cpu_set_n_threads(backend, threads);
    if (*pool != NULL) {
        ggml_backend_cpu_set_threadpool(backend, *pool);
    }
    return backend;
}

struct ggml_tensor * qlora_node(ggml_context_t ctx, struct ggml_tensor * dst, struct ggml_tensor ** src, int n_src, struct qlora_op * op) {
    struct ggml_tensor * t = ggml_custom_4d(ctx, dst->type, dst->ne[0], dst->ne[1], dst->ne[2], dst->ne[3], src, n_src, qlora_op_compute, -1, op);
    if (t == NULL) {
        return NULL;
    }
    memcpy(t->nb, dst->nb, sizeof t->nb);
    t->buffer = dst->buffer;
    t->data   = dst->data;
    memcpy(t->name, dst->name, sizeof t->name);
    return t;
}

int qlora_mapped_tensor(struct ggml_tensor * t, ggml_backend_buffer_t buffer, void * addr) {
    return ggml_backend_tensor_alloc(buffer, t, addr);
}
