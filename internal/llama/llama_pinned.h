// The part of libllama's C interface that this package calls, declared by
// hand because no include path reaches another module's headers. It restates
// the ABI of the pinned revision only; abi_test.go compiles the pinned header
// and compares every size, offset and constant below with it.
#ifndef QLORA_LLAMA_PINNED_H
#define QLORA_LLAMA_PINNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    QL_LOG_DEBUG = 1,
    QL_LOG_INFO  = 2,
    QL_LOG_WARN  = 3,
    QL_LOG_ERROR = 4,
    QL_LOG_CONT  = 5,

    QL_FLASH_ATTN_AUTO     = -1,
    QL_FLASH_ATTN_DISABLED = 0,
    QL_FLASH_ATTN_ENABLED  = 1,

    QL_VOCAB_TYPE_NONE = 0,
    QL_VOCAB_TYPE_SPM  = 1,
    QL_VOCAB_TYPE_BPE  = 2,

    QL_TYPE_F32   = 0,
    QL_TYPE_F16   = 1,
    QL_TYPE_Q8_0  = 8,
    QL_TYPE_BF16  = 30,
    QL_TYPE_COUNT = 40,
};

// File types of llama_model_quantize.
enum {
    QL_FTYPE_F32    = 0,
    QL_FTYPE_F16    = 1,
    QL_FTYPE_Q4_0   = 2,
    QL_FTYPE_Q4_1   = 3,
    QL_FTYPE_Q8_0   = 7,
    QL_FTYPE_Q5_0   = 8,
    QL_FTYPE_Q5_1   = 9,
    QL_FTYPE_Q2_K   = 10,
    QL_FTYPE_Q3_K_S = 11,
    QL_FTYPE_Q3_K_M = 12,
    QL_FTYPE_Q3_K_L = 13,
    QL_FTYPE_Q4_K_S = 14,
    QL_FTYPE_Q4_K_M = 15,
    QL_FTYPE_Q5_K_S = 16,
    QL_FTYPE_Q5_K_M = 17,
    QL_FTYPE_Q6_K   = 18,
    QL_FTYPE_Q2_K_S = 21,
    QL_FTYPE_IQ4_NL = 25,
    QL_FTYPE_IQ4_XS = 30,
    QL_FTYPE_BF16   = 32,
};

struct llama_vocab;
struct llama_model;
struct llama_context;
struct llama_sampler;
struct llama_adapter_lora;
struct llama_memory_i;
struct ggml_backend_device;

struct llama_batch {
    int32_t    n_tokens;
    int32_t  * token;
    float    * embd;
    int32_t  * pos;
    int32_t  * n_seq_id;
    int32_t ** seq_id;
    int8_t   * logits;
};

struct llama_model_params {
    struct ggml_backend_device ** devices; // ends in NULL
    void  * tensor_buft_overrides;
    int32_t n_gpu_layers;
    int32_t split_mode;
    int32_t main_gpu;
    float * tensor_split;
    void  * progress_callback;
    void  * progress_callback_user_data;
    void  * kv_overrides;
    bool    vocab_only;
    bool    use_mmap;
    bool    use_mlock;
    bool    check_tensors;
    bool    use_extra_bufts;
    bool    no_host;
    bool    no_alloc;
};

struct llama_context_params {
    uint32_t n_ctx;
    uint32_t n_batch;
    uint32_t n_ubatch;
    uint32_t n_seq_max;
    int32_t  n_threads;
    int32_t  n_threads_batch;
    int32_t  rope_scaling_type;
    int32_t  pooling_type;
    int32_t  attention_type;
    int32_t  flash_attn_type;
    float    rope_freq_base;
    float    rope_freq_scale;
    float    yarn_ext_factor;
    float    yarn_attn_factor;
    float    yarn_beta_fast;
    float    yarn_beta_slow;
    uint32_t yarn_orig_ctx;
    float    defrag_thold;
    void   * cb_eval;
    void   * cb_eval_user_data;
    int32_t  type_k;
    int32_t  type_v;
    void   * abort_callback;
    void   * abort_callback_data;
    bool     embeddings;
    bool     offload_kqv;
    bool     no_perf;
    bool     op_offload;
    bool     swa_full;
    bool     kv_unified;
};

struct llama_model_quantize_params {
    int32_t nthread;
    int32_t ftype;
    int32_t output_tensor_type;
    int32_t token_embedding_type;
    bool    allow_requantize;
    bool    quantize_output_tensor;
    bool    only_copy;
    bool    pure;
    bool    keep_split;
    void  * imatrix;
    void  * kv_overrides;
    void  * tensor_types;
    void  * prune_layers;
};

struct llama_sampler_chain_params {
    bool no_perf;
};

struct llama_logit_bias {
    int32_t token;
    float   bias;
};

typedef void (*ql_log_callback)(int level, const char * text, void * user_data);
void llama_log_set(ql_log_callback callback, void * user_data);
void llama_backend_init(void);

struct llama_model_params           llama_model_default_params(void);
struct llama_context_params         llama_context_default_params(void);
struct llama_model_quantize_params  llama_model_quantize_default_params(void);
struct llama_sampler_chain_params   llama_sampler_chain_default_params(void);

struct llama_model   * llama_model_load_from_file(const char * path, struct llama_model_params params);
void                   llama_model_free(struct llama_model * model);
struct llama_context * llama_init_from_model(struct llama_model * model, struct llama_context_params params);
void                   llama_free(struct llama_context * ctx);
uint32_t               llama_model_quantize(const char * in, const char * out, const struct llama_model_quantize_params * params);

struct ggml_backend_device * ggml_backend_dev_by_name(const char * name);
size_t llama_max_parallel_sequences(void);

const struct llama_vocab * llama_model_get_vocab(const struct llama_model * model);
int32_t      llama_model_n_ctx_train(const struct llama_model * model);
int32_t      llama_model_n_embd(const struct llama_model * model);
int32_t      llama_model_n_layer(const struct llama_model * model);
int32_t      llama_model_meta_val_str(const struct llama_model * model, const char * key, char * buf, size_t size);
int32_t      llama_model_desc(const struct llama_model * model, char * buf, size_t size);
uint64_t     llama_model_size(const struct llama_model * model);
uint64_t     llama_model_n_params(const struct llama_model * model);
const char * llama_model_chat_template(const struct llama_model * model, const char * name);
bool         llama_model_has_encoder(const struct llama_model * model);

uint32_t llama_n_ctx(const struct llama_context * ctx);
uint32_t llama_n_batch(const struct llama_context * ctx);
uint32_t llama_n_seq_max(const struct llama_context * ctx);
struct llama_memory_i * llama_get_memory(const struct llama_context * ctx);
void     llama_memory_clear(struct llama_memory_i * memory, bool data);
void     llama_memory_seq_cp(struct llama_memory_i * memory, int32_t from, int32_t to, int32_t p0, int32_t p1);
bool     llama_memory_seq_rm(struct llama_memory_i * memory, int32_t seq, int32_t p0, int32_t p1);

struct llama_batch llama_batch_init(int32_t n_tokens, int32_t embd, int32_t n_seq_max);
void    llama_batch_free(struct llama_batch batch);
int32_t llama_decode(struct llama_context * ctx, struct llama_batch batch);
float * llama_get_logits_ith(struct llama_context * ctx, int32_t i);
float * llama_get_embeddings_ith(struct llama_context * ctx, int32_t i);

int32_t      llama_vocab_type(const struct llama_vocab * vocab);
int32_t      llama_vocab_n_tokens(const struct llama_vocab * vocab);
const char * llama_vocab_get_text(const struct llama_vocab * vocab, int32_t token);
bool         llama_vocab_is_eog(const struct llama_vocab * vocab, int32_t token);
bool         llama_vocab_is_control(const struct llama_vocab * vocab, int32_t token);
bool         llama_vocab_get_add_bos(const struct llama_vocab * vocab);
int32_t      llama_vocab_bos(const struct llama_vocab * vocab);
int32_t      llama_vocab_eos(const struct llama_vocab * vocab);
int32_t      llama_vocab_eot(const struct llama_vocab * vocab);
int32_t      llama_vocab_fim_pre(const struct llama_vocab * vocab);
int32_t      llama_vocab_fim_suf(const struct llama_vocab * vocab);
int32_t      llama_vocab_fim_mid(const struct llama_vocab * vocab);
int32_t      llama_vocab_fim_pad(const struct llama_vocab * vocab);
int32_t      llama_vocab_fim_rep(const struct llama_vocab * vocab);
int32_t      llama_vocab_fim_sep(const struct llama_vocab * vocab);
int32_t      llama_tokenize(const struct llama_vocab * vocab, const char * text, int32_t len,
                            int32_t * tokens, int32_t max, bool add_special, bool parse_special);
int32_t      llama_token_to_piece(const struct llama_vocab * vocab, int32_t token, char * buf,
                                  int32_t len, int32_t lstrip, bool special);

struct llama_adapter_lora * llama_adapter_lora_init(struct llama_model * model, const char * path);
void    llama_adapter_lora_free(struct llama_adapter_lora * adapter);
int32_t llama_set_adapter_lora(struct llama_context * ctx, struct llama_adapter_lora * adapter, float scale);
void    llama_clear_adapter_lora(struct llama_context * ctx);
int32_t llama_adapter_meta_val_str(const struct llama_adapter_lora * adapter, const char * key, char * buf, size_t size);

struct llama_sampler * llama_sampler_chain_init(struct llama_sampler_chain_params params);
void    llama_sampler_chain_add(struct llama_sampler * chain, struct llama_sampler * sampler);
struct llama_sampler * llama_sampler_init_greedy(void);
struct llama_sampler * llama_sampler_init_dist(uint32_t seed);
struct llama_sampler * llama_sampler_init_top_k(int32_t k);
struct llama_sampler * llama_sampler_init_top_p(float p, size_t min_keep);
struct llama_sampler * llama_sampler_init_min_p(float p, size_t min_keep);
struct llama_sampler * llama_sampler_init_temp(float t);
struct llama_sampler * llama_sampler_init_penalties(int32_t last_n, float repeat, float freq, float present);
struct llama_sampler * llama_sampler_init_logit_bias(int32_t n_vocab, int32_t n, const struct llama_logit_bias * biases);
struct llama_sampler * llama_sampler_init_grammar(const struct llama_vocab * vocab, const char * grammar, const char * root);
int32_t llama_sampler_sample(struct llama_sampler * sampler, struct llama_context * ctx, int32_t i);
void    llama_sampler_reset(struct llama_sampler * sampler);
void    llama_sampler_free(struct llama_sampler * sampler);

#ifdef __cplusplus
}
#endif

#endif
