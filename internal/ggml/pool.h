// Threads that run a list of nodes together. ggml's own pool spins at its barriers for as long as it takes, which on a busy
// machine costs whole time slices; this one spins for some microseconds and then sleeps.
#pragma once
#include "ops.h"

struct qlora_pool;

// Starts threads - 1 workers; the caller of qlora_pool_run is the last one. NULL when a thread cannot be started.
struct qlora_pool * qlora_pool_new(int threads);
void                qlora_pool_free(struct qlora_pool * pool);
// Runs every node in order, each on all threads, and returns when the last is done.
void                qlora_pool_run(struct qlora_pool * pool, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n);
