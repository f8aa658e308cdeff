// The part of ggml's C interface that this package calls, declared here because no #cgo include path reaches another
// module's headers. abi_test.go holds every line to the pinned headers.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GGML_TYPE_F32    = 0,
    GGML_TYPE_F16    = 1,
    GGML_TYPE_Q4_0   = 2,
    GGML_TYPE_Q4_1   = 3,
    GGML_TYPE_Q5_0   = 6,
    GGML_TYPE_Q5_1   = 7,
    GGML_TYPE_Q8_0   = 8,
    GGML_TYPE_Q2_K   = 10,
    GGML_TYPE_Q3_K   = 11,
    GGML_TYPE_Q4_K   = 12,
    GGML_TYPE_Q5_K   = 13,
    GGML_TYPE_Q6_K   = 14,
    GGML_TYPE_IQ4_NL = 20,
    GGML_TYPE_IQ4_XS = 23,
    GGML_TYPE_I32    = 26,
    GGML_TYPE_BF16   = 30,
};

enum { GGML_MAX_DIMS = 4, GGML_MAX_SRC = 10, GGML_MAX_OP_PARAMS = 64, GGML_MAX_NAME = 64 };

typedef struct ggml_context *        ggml_context_t;
typedef struct ggml_backend *        ggml_backend_t;
typedef struct ggml_backend_buffer * ggml_backend_buffer_t;
typedef struct ggml_backend_reg *    ggml_backend_reg_t;
typedef struct ggml_backend_device * ggml_backend_dev_t;

struct ggml_tensor {
    int32_t               type;
    ggml_backend_buffer_t buffer;
    int64_t               ne[GGML_MAX_DIMS];
    size_t                nb[GGML_MAX_DIMS];
    int32_t               op;
    int32_t               op_params[GGML_MAX_OP_PARAMS / sizeof(int32_t)];
    int32_t               flags;
    struct ggml_tensor *  src[GGML_MAX_SRC];
    struct ggml_tensor *  view_src;
    size_t                view_offs;
    void *                data;
    char                  name[GGML_MAX_NAME];
    void *                extra;
    char                  padding[8];
};

struct ggml_init_params {
    size_t mem_size;
    void * mem_buffer;
    bool   no_alloc;
};

struct ggml_type_traits {
    const char * type_name;
    int64_t      blck_size;
    int64_t      blck_size_interleave;
    size_t       type_size;
    bool         is_quantized;
    void (*to_float)(const void * x, float * y, int64_t k);
    void (*from_float_ref)(const float * x, void * y, int64_t k);
};

typedef void (*ggml_custom_op_t)(struct ggml_tensor * dst, int ith, int nth, void * userdata);
typedef void (*ggml_log_callback)(int32_t level, const char * text, void * user_data);
typedef void (*ggml_abort_callback_t)(const char * message);

ggml_context_t       ggml_init(struct ggml_init_params params);
void                 ggml_free(ggml_context_t ctx);
size_t               ggml_tensor_overhead(void);
size_t               ggml_nbytes(const struct ggml_tensor * t);
size_t               ggml_row_size(int32_t type, int64_t ne);
struct ggml_tensor * ggml_new_tensor(ggml_context_t ctx, int32_t type, int n_dims, const int64_t * ne);
struct ggml_tensor * ggml_view_4d(ggml_context_t ctx, struct ggml_tensor * a, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3,
                                  size_t nb1, size_t nb2, size_t nb3, size_t offset);
struct ggml_tensor * ggml_custom_4d(ggml_context_t ctx, int32_t type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3,
                                    struct ggml_tensor ** args, int n_args, ggml_custom_op_t fun, int n_tasks, void * userdata);
struct ggml_tensor * ggml_set_name(struct ggml_tensor * t, const char * name);

const struct ggml_type_traits * ggml_get_type_traits(int32_t type);
size_t ggml_quantize_chunk(int32_t type, const float * src, void * dst, int64_t start, int64_t nrows, int64_t n_per_row, const float * imatrix);
bool   ggml_quantize_requires_imatrix(int32_t type);

ggml_backend_t        ggml_backend_cpu_init(void);
void                  ggml_backend_free(ggml_backend_t backend);
void                  ggml_backend_synchronize(ggml_backend_t backend);
ggml_backend_reg_t    ggml_backend_load(const char * path);
size_t                ggml_backend_reg_dev_count(ggml_backend_reg_t reg);
ggml_backend_dev_t    ggml_backend_reg_dev_get(ggml_backend_reg_t reg, size_t index);
const char *          ggml_backend_dev_name(ggml_backend_dev_t device);
const char *          ggml_backend_dev_description(ggml_backend_dev_t device);
void                  ggml_backend_dev_memory(ggml_backend_dev_t device, size_t * free, size_t * total);
ggml_backend_t        ggml_backend_dev_init(ggml_backend_dev_t device, const char * params);
ggml_backend_buffer_t ggml_backend_alloc_ctx_tensors(ggml_context_t ctx, ggml_backend_t backend);
ggml_backend_buffer_t ggml_backend_cpu_buffer_from_ptr(void * ptr, size_t size);
int32_t               ggml_backend_tensor_alloc(ggml_backend_buffer_t buffer, struct ggml_tensor * t, void * addr);
int32_t               ggml_backend_view_init(struct ggml_tensor * t);
void                  ggml_backend_buffer_free(ggml_backend_buffer_t buffer);
size_t                ggml_backend_buffer_get_size(ggml_backend_buffer_t buffer);
void                  ggml_backend_tensor_set(struct ggml_tensor * t, const void * data, size_t offset, size_t size);
void                  ggml_backend_tensor_set_async(ggml_backend_t backend, struct ggml_tensor * t, const void * data, size_t offset, size_t size);
void                  ggml_backend_tensor_get_async(ggml_backend_t backend, const struct ggml_tensor * t, void * data, size_t offset, size_t size);
void                  ggml_backend_tensor_get(const struct ggml_tensor * t, void * data, size_t offset, size_t size);
void                  ggml_backend_tensor_memset(struct ggml_tensor * t, uint8_t value, size_t offset, size_t size);

void                  ggml_log_set(ggml_log_callback callback, void * user_data);
ggml_abort_callback_t ggml_set_abort_callback(ggml_abort_callback_t callback);

int ggml_cpu_has_avx2(void);
int ggml_cpu_has_avx512(void);
