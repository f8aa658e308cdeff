#include "nccl.h"

#include <dlfcn.h>
#include <stdio.h>

static int find(void * handle, const char * name, void ** out, char * why) {
    *out = dlsym(handle, name);
    if (*out == NULL) {
        snprintf(why, QLORA_NCCL_WHY_BYTES, "the CUDA module does not export %s", name);
    }
    return *out != NULL;
}

const struct qlora_nccl * qlora_find_nccl(const char * path, char * why) {
    static struct qlora_nccl n; // one module a process
    void *                   handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        snprintf(why, QLORA_NCCL_WHY_BYTES, "%s", dlerror());
        return NULL;
    }
    const int all = find(handle, "qlora_cuda_nccl_available", (void **) &n.available, why) &&
                    find(handle, "qlora_cuda_nccl_unique_id", (void **) &n.unique_id, why) &&
                    find(handle, "qlora_cuda_nccl_init", (void **) &n.init, why) &&
                    find(handle, "qlora_cuda_nccl_all_reduce", (void **) &n.all_reduce, why) &&
                    find(handle, "qlora_cuda_nccl_poll", (void **) &n.poll, why) &&
                    find(handle, "qlora_cuda_nccl_destroy", (void **) &n.destroy, why);
    return all ? &n : NULL; // the handle stays open, as the module does
}

int qlora_nccl_available(const struct qlora_nccl * n, char * why) {
    return n->available(why);
}

int qlora_nccl_unique_id(const struct qlora_nccl * n, char * id, char * why) {
    return n->unique_id(id, why);
}

int qlora_nccl_init(const struct qlora_nccl * n, void * backend, const char * id, int rank, int world, struct qlora_communicator ** out, char * why) {
    return n->init(backend, id, rank, world, out, why);
}

int qlora_nccl_all_reduce(const struct qlora_nccl * n, struct qlora_communicator * c, void * data, size_t count, char * why) {
    return n->all_reduce(c, data, count, why);
}

int qlora_nccl_poll(const struct qlora_nccl * n, struct qlora_communicator * c, char * why) {
    return n->poll(c, why);
}

void qlora_nccl_destroy(const struct qlora_nccl * n, struct qlora_communicator * c, int lost) {
    n->destroy(c, lost);
}
