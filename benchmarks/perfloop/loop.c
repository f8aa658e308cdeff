#include "loop.h"

#include "../../internal/llama/llama_pinned.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

// Decodes n tokens, step at a time, with logits for the last of each step.
static int decode(struct llama_context * ctx, struct llama_batch batch, const int * tokens, int n, int step) {
    llama_memory_clear(llama_get_memory(ctx), false);
    for (int at = 0; at < n; at += step) {
        batch.n_tokens = n - at < step ? n - at : step;
        for (int i = 0; i < batch.n_tokens; i++) {
            batch.token[i] = tokens[at + i], batch.pos[i] = at + i, batch.n_seq_id[i] = 1, batch.seq_id[i][0] = 0, batch.logits[i] = i == batch.n_tokens - 1;
        }
        if (llama_decode(ctx, batch) != 0 || llama_get_logits_ith(ctx, batch.n_tokens - 1) == NULL) {
            return 1;
        }
    }
    return 0;
}

static void quiet(int level, const char * text, void * data) {
    (void) level, (void) text, (void) data;
}

int perf_loop(const char * path, int p, int n, int r, int threads) {
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model_params m = llama_model_default_params();
    m.n_gpu_layers = 0;
    struct llama_model * model = llama_model_load_from_file(path, m);
    if (model == NULL) {
        return 1;
    }
    const int longest = p > n ? p : n;
    struct llama_context_params c = llama_context_default_params();
    c.n_ctx = longest < 32 ? 32 : longest, c.n_batch = 512, c.n_ubatch = 512, c.n_seq_max = 1, c.n_threads = c.n_threads_batch = threads;
    c.flash_attn_type = QL_FLASH_ATTN_DISABLED, c.type_k = c.type_v = 1 /* F16 */, c.no_perf = true, c.kv_unified = true;
    struct llama_context * ctx = llama_init_from_model(model, c);
    int * tokens = malloc(longest * sizeof(int));
    if (ctx == NULL || tokens == NULL) {
        return 1;
    }
    srand(1);
    for (int i = 0; i < longest; i++) {
        tokens[i] = rand() % llama_vocab_n_tokens(llama_model_get_vocab(model));
    }
    struct llama_batch batch = llama_batch_init(512, 0, 1);
    for (int test = 0; test < 2; test++) {
        const int count = test ? n : p;
        for (int round = 0; round <= r && count > 0; round++) {
            const double start = now();
            if (decode(ctx, batch, tokens, count, test ? 1 : 512) != 0) {
                return 1;
            }
            if (round > 0) {
                printf("%s %.4f\n", test ? "generate" : "prompt", count / (now() - start));
            }
        }
    }
    fflush(stdout); // Go ends the process without
    return 0;
}
