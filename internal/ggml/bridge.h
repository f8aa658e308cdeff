// C helpers for what Go cannot say directly: callbacks, struct fields of tensors, allocation of descriptors.
#pragma once
#include "ops.h"

ggml_backend_t       qlora_cpu_backend(int threads, ggml_threadpool_t * pool);
struct ggml_tensor * qlora_node(ggml_context_t ctx, struct ggml_tensor * dst, struct ggml_tensor ** src, int n_src, struct qlora_op * op);
void                 qlora_install_log(void);
int                  qlora_mapped_tensor(struct ggml_tensor * t, ggml_backend_buffer_t buffer, void * addr);
