// Calls into libllama that may throw, each turned into a return value: a C++
// exception that reaches Go ends the process.
#ifndef QLORA_LLAMA_BRIDGE_H
#define QLORA_LLAMA_BRIDGE_H

#include "llama_pinned.h"

#ifdef __cplusplus
extern "C" {
#endif

// Returned where libllama threw an exception.
enum { QL_THREW = INT32_MIN };

// ql_log_install routes the log of libllama and ggml to qloraLlamaLog.
void ql_log_install(int min_level);

// ql_tokenize returns the number of tokens, or minus the number needed.
int32_t ql_tokenize(const struct llama_vocab * vocab, const char * text, int32_t len,
                    int32_t * tokens, int32_t max, bool parse_special);

// ql_detokenize joins the pieces of n tokens and returns their length in
// bytes, or minus the length needed.
int64_t ql_detokenize(const struct llama_vocab * vocab, const int32_t * tokens, int64_t n,
                      char * buf, int64_t max);

struct llama_model        * ql_load(const char * path, struct llama_model_params params);

// ql_new_context makes a context; a rebuilding one builds the graph of every
// decode anew, so that it sees adapters change.
struct llama_context * ql_new_context(struct llama_model * model, struct llama_context_params params, bool rebuilding);
void                   ql_free_context(struct llama_context * ctx);

struct llama_adapter_lora * ql_load_adapter(struct llama_model * model, const char * path);
struct llama_sampler      * ql_grammar(const struct llama_vocab * vocab, const char * grammar, const char * root);
int32_t ql_quantize(const char * in, const char * out, const struct llama_model_quantize_params * params);

int32_t ql_decode(struct llama_context * ctx, struct llama_batch batch);

// ql_sample returns the token chosen from the logits of output i, or -1 when
// they hold a NaN.
int32_t ql_sample(struct llama_sampler * sampler, struct llama_context * ctx, int32_t i, int32_t n_vocab);

// ql_trim gives freed memory back to the system. glibc before 2.38 seldom reuses
// the aligned blocks that ggml allocates, so that without it a process that
// opens and closes contexts grows although nothing is lost.
void ql_trim(void);

#ifdef __cplusplus
}
#endif

#endif
