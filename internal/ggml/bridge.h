// C helpers for what Go cannot say directly: callbacks, struct fields of tensors, allocation of descriptors.
#pragma once
#include "ops.h"
#include "pool.h"

struct ggml_tensor * qlora_node(ggml_context_t ctx, struct ggml_tensor * dst, struct ggml_tensor ** src, int n_src, struct qlora_op * op);
void                 qlora_install_log(void);
int                  qlora_mapped_tensor(struct ggml_tensor * t, ggml_backend_buffer_t buffer, void * addr);

// The CUDA module, once loaded; it stays so until the process ends.
struct qlora_module {
    ggml_backend_reg_t reg;
    const char * (*stamp)(void);
    const char * (*error)(void);
    void * (*open)(ggml_backend_t backend);
    void (*close)(void * session);
    int (*run)(void * session, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n);
};
// Opens the module at path; NULL and a message in `why` (256 bytes) when that fails.
struct qlora_module * qlora_open_module(const char * path, char * why);
const char * qlora_module_stamp(const struct qlora_module * m);
const char * qlora_module_error(const struct qlora_module * m);
void *       qlora_module_open(const struct qlora_module * m, ggml_backend_t backend);
void         qlora_module_close(const struct qlora_module * m, void * session);
int          qlora_module_run(const struct qlora_module * m, void * session, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n);
// Makes a view see its memory as another type: rows of ne0 elements, nb1 bytes apart.
void         qlora_retype(struct ggml_tensor * view, int32_t type, int64_t ne0, int64_t ne1, size_t nb1);
