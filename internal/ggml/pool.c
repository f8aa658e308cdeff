#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { SPINS = 4000 };

struct worker {
    struct qlora_pool * pool;
    pthread_t           thread;
    int                 ith;
};

struct qlora_pool {
    int                   threads;
    struct worker *       workers;
    struct ggml_tensor ** nodes;
    struct qlora_op **    ops;
    int                   n;
    bool                  stop;
    atomic_uint           work;    // grows by one for each list of nodes
    atomic_uint           phase;   // grows by one at each barrier
    atomic_int            arrived; // threads at the current barrier
};

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Returns once *word is no longer `old`.
static void wait_while(atomic_uint * word, unsigned old) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old) {
            return;
        }
        relax();
    }
    while (atomic_load_explicit(word, memory_order_acquire) == old) {
#if defined(__linux__)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
#else
        sched_yield();
#endif
    }
}

static void advance(atomic_uint * word) {
    atomic_fetch_add_explicit(word, 1, memory_order_acq_rel);
#if defined(__linux__)
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
#endif
}

static void barrier(struct qlora_pool * p) {
    const unsigned phase = atomic_load_explicit(&p->phase, memory_order_acquire);
    if (atomic_fetch_add_explicit(&p->arrived, 1, memory_order_acq_rel) + 1 == p->threads) {
        atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
        advance(&p->phase);
    } else {
        wait_while(&p->phase, phase);
    }
}

static void run_share(struct qlora_pool * p, int ith) {
    // copies: a thread that wakes late from the last barrier must not see the next list
    struct ggml_tensor ** nodes = p->nodes;
    struct qlora_op **    ops   = p->ops;
    const int             n     = p->n;
    for (int i = 0; i < n; i++) {
        qlora_op_compute(nodes[i], ith, p->threads, ops[i]);
        barrier(p);
    }
}

static void * work(void * arg) {
    struct worker *     w    = arg;
    struct qlora_pool * p    = w->pool;
    unsigned            seen = 0;
    for (;;) {
        wait_while(&p->work, seen);
        seen++;
        if (p->stop) {
            return NULL;
        }
        run_share(p, w->ith);
    }
}

struct qlora_pool * qlora_pool_new(int threads) {
    struct qlora_pool * p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->workers = calloc((size_t) threads, sizeof *p->workers);
    p->threads = 1; // grows with each thread that starts, so that a failure below frees just those
    for (int i = 1; i < threads && p->workers != NULL; i++) {
        p->workers[i] = (struct worker){.pool = p, .ith = i};
        if (pthread_create(&p->workers[i].thread, NULL, work, &p->workers[i]) != 0) {
            break;
        }
        p->threads++;
    }
    if (p->threads != threads) {
        qlora_pool_free(p);
        return NULL;
    }
    return p;
}

void qlora_pool_free(struct qlora_pool * p) {
    p->stop = true;
    advance(&p->work);
    for (int i = 1; i < p->threads; i++) {
        pthread_join(p->workers[i].thread, NULL);
    }
    free(p->workers);
    free(p);
}

void qlora_pool_run(struct qlora_pool * p, struct ggml_tensor ** nodes, struct qlora_op ** ops, int n) {
    p->nodes = nodes, p->ops = ops, p->n = n;
    advance(&p->work);
    run_share(p, 0);
}
