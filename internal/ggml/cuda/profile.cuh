// Device and host time by operation, for whoever asks where it goes: QLORA_CUDA_PROFILE names the file that gets the table when the
// session ends. Marks cost an event a node, so it is off otherwise.
#pragma once
#include <cuda_runtime.h>

struct qlora_profile;

qlora_profile * qlora_profile_new();
// host_us is what queueing the operation took.
void            qlora_profile_mark(qlora_profile * p, int kind, double host_us, cudaStream_t stream);
void            qlora_profile_free(qlora_profile * p, const char * (*name)(int kind));
