// C helpers for what Go cannot say directly: callbacks, struct fields of tensors, allocation of descriptors.
#pragma once
#include "cuda/device.h"
#include "ops.h"
#include "pool.h"

struct ggml_tensor * qlora_node(ggml_context_t ctx, struct ggml_tensor * dst, struct ggml_tensor ** src, int n_src, struct qlora_op * op);
void                 qlora_install_log(void);
int                  qlora_mapped_tensor(struct ggml_tensor * t, ggml_backend_buffer_t buffer, void * addr);

// The CUDA module, once loaded; it stays so until the process ends.
struct qlora_module {
    void * handle;
    const char * (*stamp)(void);
    const char * (*error)(void);
    void * (*open)(ggml_backend_t backend);
    void (*close)(void * session);
    int (*run)(void * session, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n, void ** recording);
    void (*forget)(void * recording);
    void * (*pinned)(size_t size);
    void (*unpin)(void * p);
    int (*fill_slot)(void * session, int slot, void * dst, const void * src, size_t size);
    int (*enter_slot)(void * session, int slot);
    int (*leave_slot)(void * session, int slot);
    int (*device_info)(int index, struct qlora_device_info * info);
    void (*versions)(int * runtime, int * driver);
    const char * (*architectures)(void);
    void (*set_log)(ggml_log_callback log, ggml_abort_callback_t abort);
};
enum { QLORA_WHY = 512 }; // bytes of a buffer for a reason

// Opens the module at path as far as its stamp; NULL and a message in why when that fails.
struct qlora_module * qlora_open_module(const char * path, char * why);
// Finds everything else; false and a message in why when something is missing.
bool         qlora_bind_module(struct qlora_module * m, char * why);
void         qlora_close_module(struct qlora_module * m);
// Whether NVIDIA's driver library can be loaded; a message in why when not.
bool         qlora_driver_loads(char * why);
const char * qlora_module_stamp(const struct qlora_module * m);
const char * qlora_module_error(const struct qlora_module * m);
void *       qlora_module_open(const struct qlora_module * m, ggml_backend_t backend);
void         qlora_module_close(const struct qlora_module * m, void * session);
int          qlora_module_run(const struct qlora_module * m, void * session, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n, void ** recording);
void         qlora_module_forget(const struct qlora_module * m, void * recording);
void *       qlora_module_pinned(const struct qlora_module * m, size_t size);
void         qlora_module_unpin(const struct qlora_module * m, void * p);
int          qlora_module_fill_slot(const struct qlora_module * m, void * session, int slot, void * dst, const void * src, size_t size);
int          qlora_module_enter_slot(const struct qlora_module * m, void * session, int slot);
int          qlora_module_leave_slot(const struct qlora_module * m, void * session, int slot);
int          qlora_module_device_info(const struct qlora_module * m, int index, struct qlora_device_info * info);
void         qlora_module_versions(const struct qlora_module * m, int * runtime, int * driver);
const char * qlora_module_architectures(const struct qlora_module * m);
// Makes a view see its memory as another type: rows of ne0 elements, nb1 bytes apart.
void         qlora_retype(struct ggml_tensor * view, int32_t type, int64_t ne0, int64_t ne1, size_t nb1);
