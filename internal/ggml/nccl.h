// NCCL through the CUDA module, for gradients of several GPUs. A module may lack these functions, and a machine the library.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { QLORA_NCCL_ID_BYTES = 128, QLORA_NCCL_WHY_BYTES = 256 };
enum { QLORA_NCCL_DONE = 0, QLORA_NCCL_PENDING = 1, QLORA_NCCL_FAILED = 2 };

struct qlora_communicator;

// What the module exports, as qlora_cuda_nccl_NAME. Functions that return int return 0, or nonzero with the reason in `why`,
// which has QLORA_NCCL_WHY_BYTES.
struct qlora_nccl {
    int (*available)(char * why);
    int (*unique_id)(char * id, char * why); // id: QLORA_NCCL_ID_BYTES
    // `backend` is a ggml_backend_t of the module; blocks until all ranks of `world` have called it with one id.
    int (*init)(void * backend, const char * id, int rank, int world, struct qlora_communicator ** out, char * why);
    // Queues, on the backend's stream, the sum over ranks of n floats at `data` (device memory) in place.
    int (*all_reduce)(struct qlora_communicator * c, void * data, size_t n, char * why);
    // Returns QLORA_NCCL_DONE once the stream has done what was queued; never blocks.
    int (*poll)(struct qlora_communicator * c, char * why);
    // Frees the communicator. With `lost` nonzero it first abandons what is under way, because a rank no longer answers.
    void (*destroy)(struct qlora_communicator * c, int lost);
};

// Finds the functions in the module at path, which is loaded already; NULL and the reason in `why` when it lacks one.
const struct qlora_nccl * qlora_find_nccl(const char * path, char * why);

int  qlora_nccl_available(const struct qlora_nccl * n, char * why);
int  qlora_nccl_unique_id(const struct qlora_nccl * n, char * id, char * why);
int  qlora_nccl_init(const struct qlora_nccl * n, void * backend, const char * id, int rank, int world, struct qlora_communicator ** out, char * why);
int  qlora_nccl_all_reduce(const struct qlora_nccl * n, struct qlora_communicator * c, void * data, size_t count, char * why);
int  qlora_nccl_poll(const struct qlora_nccl * n, struct qlora_communicator * c, char * why);
void qlora_nccl_destroy(const struct qlora_nccl * n, struct qlora_communicator * c, int lost);
