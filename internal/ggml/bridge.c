#include "bridge.h"

#include <dlfcn.h>
#include <stdio.h>
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

static bool find(const struct qlora_module * m, const char * name, void ** out, char * why) {
    *out = dlsym(m->handle, name);
    if (*out == NULL) {
        snprintf(why, QLORA_WHY, "it does not export %s", name);
    }
    return *out != NULL;
}

struct qlora_module * qlora_open_module(const char * path, char * why) {
    struct qlora_module * m = calloc(1, sizeof *m);
    if (m == NULL) {
        snprintf(why, QLORA_WHY, "out of memory");
        return NULL;
    }
    m->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (m->handle == NULL) {
        snprintf(why, QLORA_WHY, "%s", dlerror());
    } else if (find(m, "qlora_cuda_stamp", (void **) &m->stamp, why)) {
        return m;
    }
    qlora_close_module(m);
    return NULL;
}

bool qlora_bind_module(struct qlora_module * m, char * why) {
    const bool found = find(m, "qlora_cuda_error", (void **) &m->error, why) && find(m, "qlora_cuda_open", (void **) &m->open, why) &&
                       find(m, "qlora_cuda_close", (void **) &m->close, why) && find(m, "qlora_cuda_run", (void **) &m->run, why) &&
                       find(m, "qlora_cuda_forget", (void **) &m->forget, why) &&
                       find(m, "qlora_cuda_pinned", (void **) &m->pinned, why) && find(m, "qlora_cuda_unpin", (void **) &m->unpin, why) &&
                       find(m, "qlora_cuda_fill_slot", (void **) &m->fill_slot, why) &&
                       find(m, "qlora_cuda_enter_slot", (void **) &m->enter_slot, why) &&
                       find(m, "qlora_cuda_leave_slot", (void **) &m->leave_slot, why) &&
                       find(m, "qlora_cuda_device_info", (void **) &m->device_info, why) &&
                       find(m, "qlora_cuda_versions", (void **) &m->versions, why) &&
                       find(m, "qlora_cuda_architectures", (void **) &m->architectures, why) &&
                       find(m, "qlora_cuda_set_log", (void **) &m->set_log, why);
    if (found) {
        m->set_log(on_log, on_abort);
    }
    return found;
}

// Only for a module that was refused: ggml keeps the one that it registered for good.
void qlora_close_module(struct qlora_module * m) {
    if (m->handle != NULL) {
        dlclose(m->handle);
    }
    free(m);
}

bool qlora_driver_loads(char * why) {
    if (dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL) == NULL) {
        snprintf(why, QLORA_WHY, "%s", dlerror());
        return false;
    }
    return true;
}

const char * qlora_module_stamp(const struct qlora_module * m) {
    return m->stamp();
}

const char * qlora_module_error(const struct qlora_module * m) {
    return m->error();
}

void * qlora_module_open(const struct qlora_module * m, ggml_backend_t backend) {
    return m->open(backend);
}

void qlora_module_close(const struct qlora_module * m, void * session) {
    m->close(session);
}

int qlora_module_run(const struct qlora_module * m, void * session, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n,
                     void ** recording) {
    return m->run(session, nodes, ops, n, recording);
}

void qlora_module_forget(const struct qlora_module * m, void * recording) {
    m->forget(recording);
}

void * qlora_module_pinned(const struct qlora_module * m, size_t size) {
    return m->pinned(size);
}

void qlora_module_unpin(const struct qlora_module * m, void * p) {
    m->unpin(p);
}

int qlora_module_fill_slot(const struct qlora_module * m, void * session, int slot, void * dst, const void * src, size_t size) {
    return m->fill_slot(session, slot, dst, src, size);
}

int qlora_module_enter_slot(const struct qlora_module * m, void * session, int slot) {
    return m->enter_slot(session, slot);
}

int qlora_module_leave_slot(const struct qlora_module * m, void * session, int slot) {
    return m->leave_slot(session, slot);
}

int qlora_module_device_info(const struct qlora_module * m, int index, struct qlora_device_info * info) {
    return m->device_info(index, info);
}

void qlora_module_versions(const struct qlora_module * m, int * runtime, int * driver) {
    m->versions(runtime, driver);
}

const char * qlora_module_architectures(const struct qlora_module * m) {
    return m->architectures();
}

void qlora_retype(struct ggml_tensor * view, int32_t type, int64_t ne0, int64_t ne1, size_t nb1) {
    view->type  = type;
    view->ne[0] = ne0, view->ne[1] = ne1, view->ne[2] = view->ne[3] = 1;
    view->nb[0] = ggml_get_type_traits(type)->type_size;
    view->nb[1] = nb1, view->nb[2] = view->nb[3] = nb1 * (size_t) ne1;
}
