#include "bridge.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

extern "C" void qloraLlamaLog(int level, char * text);

static std::atomic<int> log_min_level{QL_LOG_WARN};

// Continuation lines carry no level of their own: they share their line's.
static void log_to_go(int level, const char * text, void *) {
    static thread_local int line_level = QL_LOG_INFO;
    if (level != QL_LOG_CONT) {
        line_level = level;
    }
    if (line_level >= log_min_level.load()) {
        qloraLlamaLog(line_level, const_cast<char *>(text));
    }
}

void ql_log_install(int min_level) {
    log_min_level.store(min_level);
    llama_log_set(log_to_go, nullptr);
}

struct ggml_backend;

#ifdef __linux__
extern "C" void __real_ggml_backend_free(ggml_backend * backend);

// While one lives, the backends that its thread frees wait for its end. A llama_context destroys its backends before its
// scheduler, which then asks them to free what they hold: on a GPU, a use of freed memory that ends the process.
class late_frees {
    static thread_local late_frees * current;
    std::vector<ggml_backend *>      waiting;

  public:
    late_frees() { current = this; }
    ~late_frees() {
        current = nullptr;
        for (ggml_backend * backend : waiting) {
            __real_ggml_backend_free(backend);
        }
    }
    static void free(ggml_backend * backend) {
        if (current == nullptr) {
            __real_ggml_backend_free(backend);
        } else {
            current->waiting.push_back(backend);
        }
    }
};

thread_local late_frees * late_frees::current = nullptr;

// What the linker puts in the place of ggml_backend_free; see link.go.
extern "C" void __wrap_ggml_backend_free(ggml_backend * backend) {
    late_frees::free(backend);
}
#else
// Without a GPU there is nothing that the scheduler would ask for.
struct late_frees {};
#endif

template <typename T, typename F>
static T guarded(T on_throw, F call) {
    try {
        return call();
    } catch (const std::exception & e) {
        log_to_go(QL_LOG_ERROR, (std::string(e.what()) + "\n").c_str(), nullptr);
        return on_throw;
    } catch (...) {
        return on_throw;
    }
}

int32_t ql_tokenize(const struct llama_vocab * vocab, const char * text, int32_t len,
                    int32_t * tokens, int32_t max, bool parse_special) {
    return guarded<int32_t>(QL_THREW, [&] {
        return llama_tokenize(vocab, text, len, tokens, max, false, parse_special);
    });
}

int64_t ql_detokenize(const struct llama_vocab * vocab, const int32_t * tokens, int64_t n,
                      char * buf, int64_t max) {
    return guarded<int64_t>(QL_THREW, [&]() -> int64_t {
        int64_t used = 0;
        for (int64_t i = 0; i < n; i++) {
            const int64_t room = used < max ? max - used : 0;
            const int32_t cap  = room > INT32_MAX ? INT32_MAX : (int32_t) room;
            const int32_t got  = llama_token_to_piece(vocab, tokens[i], buf + (used < max ? used : max), cap, 0, true);
            used += got < 0 ? -(int64_t) got : got;
        }
        return used <= max ? used : -used;
    });
}

struct llama_model * ql_load(const char * path, struct llama_model_params params) {
    return guarded<struct llama_model *>(nullptr, [&] { return llama_model_load_from_file(path, params); });
}

// libllama reads whether it may reuse graphs from the environment, and nowhere
// else. The caller holds the lock under which contexts are made.
struct llama_context * ql_new_context(struct llama_model * model, struct llama_context_params params, bool rebuilding) {
    const late_frees          backends;
    static const char * const no_reuse = "LLAMA_GRAPH_REUSE_DISABLE";
    const bool set = rebuilding && getenv(no_reuse) == nullptr;
    if (set) {
        setenv(no_reuse, "1", 1);
    }
    auto * ctx = guarded<struct llama_context *>(nullptr, [&] { return llama_init_from_model(model, params); });
    if (set) {
        unsetenv(no_reuse);
    }
    return ctx;
}

void ql_free_context(struct llama_context * ctx) {
    const late_frees backends;
    llama_free(ctx);
}

struct llama_adapter_lora * ql_load_adapter(struct llama_model * model, const char * path) {
    return guarded<struct llama_adapter_lora *>(nullptr, [&] { return llama_adapter_lora_init(model, path); });
}

struct llama_sampler * ql_grammar(const struct llama_vocab * vocab, const char * grammar, const char * root) {
    return guarded<struct llama_sampler *>(nullptr, [&] { return llama_sampler_init_grammar(vocab, grammar, root); });
}

int32_t ql_quantize(const char * in, const char * out, const struct llama_model_quantize_params * params) {
    return guarded<int32_t>(QL_THREW, [&] { return (int32_t) llama_model_quantize(in, out, params); });
}

int32_t ql_decode(struct llama_context * ctx, struct llama_batch batch) {
    return guarded<int32_t>(QL_THREW, [&] { return llama_decode(ctx, batch); });
}

int32_t ql_sample(struct llama_sampler * sampler, struct llama_context * ctx, int32_t i, int32_t n_vocab) {
    return guarded<int32_t>(QL_THREW, [&]() -> int32_t {
        const float * logits = llama_get_logits_ith(ctx, i);
        if (logits == nullptr) {
            return QL_THREW;
        }
        for (int32_t t = 0; t < n_vocab; t++) {
            if (std::isnan(logits[t])) {
                return -1;
            }
        }
        return llama_sampler_sample(sampler, ctx, i);
    });
}

void ql_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
