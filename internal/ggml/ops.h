// The training operations: each is a GGML_OP_CUSTOM node whose user data is a struct qlora_op. The CPU backend calls
// qlora_op_compute; a device backend recognises the descriptor by its magic and launches a kernel of its own instead.
//
// Activations are matrices [d, n]: one row of d contiguous values a token; F32 on the CPU, also F16 or BF16 on a device.
// What is trained, its gradient and the loss are F32 everywhere. "Accumulate" means that the destination
// keeps what it held and the result is added. Every reduction runs in an order that no thread count changes.
#pragma once
#include <stdint.h>

#ifndef GGML_FILE_MAGIC // the CUDA plugin sees ggml's own headers
#include "ggml_pinned.h"
#endif

enum { QLORA_OP_MAGIC = 0x716c6f72 };

// Sources in order; iparam and fparam in order. A trailing scratch source is split evenly among threads. Matrices may be
// column ranges of wider ones: their rows lie nb[1] bytes apart. Heads are seen as [head size, heads, n].
//
// A group is one to three linears that read the same input, with the adapters of some of them. Its adapters lie in one flat
// F32 vector: every A [i, rank] in the order of the linears, then every B [rank, o]. R is the sum of the ranks, rounded up
// to QLORA_TAIL. A group's input has room for R columns behind it, for U = A x, and so does its result's gradient, for
// V = f0 * B^T dy: then [W | f0 B] [x; U] and [W; A]^T [dy; V] are one product each. Groups are computed on devices only.
enum qlora_op_kind {
    QLORA_OP_LINEAR,       // Y[o,n] = init + f0 * W[i,o] . X[i,n]     src W, X, init|null, scratch; i0 = enum qlora_init
    QLORA_OP_LINEAR_BACK,  // dX[i,n] (+)= f0 * W^T . dY                src W, dY, scratch; i0 = accumulate
    QLORA_OP_OUTER,        // dW[i,o] += f0 * sum_t dY[o,t] X[i,t]      src dY, X, scratch
    QLORA_OP_BIAS_BACK,    // db[o] += sum_t dY[o,t]                    src dY
    QLORA_OP_NORM,         // y = x * w / rms(x)                        src x, w; f0 = eps
    QLORA_OP_NORM_BACK,    // dx (+)= VJP of NORM                       src dy, x, w; f0 = eps, i0 = accumulate
    QLORA_OP_NORM_BACK_W,  // dw += sum_t dy * x / rms(x)               src dy, x, scratch; f0 = eps
    QLORA_OP_ROPE_TABLE,   // [2*half, n] cos then sin                  src positions, inverse frequencies; f0 = magnitude
    QLORA_OP_ROPE,         // y = rotation of x                         src x, table; i0 = head size, i1 = neox, i2 = inverse
    QLORA_OP_ATTN,         // O[dh*h, n]                                src q, k, v, segments, scratch, LSE[h, n] (written); i0 = dh, i1 = heads, i2 = kv heads, i3 = window; f0 = scale
    QLORA_OP_ATTN_BACK,    // columns dQ, dK, dV                        src q, k, v, O, dO, segments, scratch, LSE; params as ATTN
    QLORA_OP_SWIGLU,       // y = silu(gate) * up                       src gate, up
    QLORA_OP_SWIGLU_BACK,  // columns dgate, dup                        src dy, gate, up
    QLORA_OP_ADD,          // y = a + b                                 src a, b
    QLORA_OP_COPY,         // y = x, in y's type                        src x
    QLORA_OP_ZERO,         // y = 0
    QLORA_OP_DROPOUT,      // y (+)= x * keep / (1 - p)                 src x, seed[2]; i0 = stream, i1 = accumulate; f0 = p
    QLORA_OP_EMBED,        // y = rows of the embedding                 src E, tokens, scratch
    QLORA_OP_EMBED_BACK,   // dE[tokens] += dy                          src dy, tokens
    QLORA_OP_GATHER,       // y[:,c] = x[:,idx[c]], 0 where idx < 0     src x, idx
    QLORA_OP_SCATTER,      // y[:,idx[c]] += x[:,c], idx distinct       src x, idx
    QLORA_OP_LOSS,         // over logits: their gradient               src labels, scale[1], losses[c] (written); i0 = gradient wanted, i1 = its type
    QLORA_OP_ADAMW,        // w updated in place                        src grad, m, v, hyper[8]
    QLORA_OP_SUM_SQUARES,  // partial sums over chunks of 4096          src x
    QLORA_OP_GROUP,        // Y = init + [W | f0 B] . [X; U]            src W1, W2|null, W3|null, X, init|null, adapters|null, scratch; i0 = init, i1 = rank, i2 = bit mask of adapted linears
    QLORA_OP_GROUP_BACK,   // dX = [W; A]^T . [dY; V]                   src W1, W2|null, W3|null, dY, adapters|null, scratch; i0 = accumulate, i1, i2 as GROUP, i3 = the scratch still holds W from GROUP
    QLORA_OP_GROUP_U,      // U[R,n] = A . X                            src X, adapters, scratch, copy of U|null (written); i1 = rank, i2 = number of adapters
    QLORA_OP_GROUP_V,      // V[R,n] = f0 * B^T . dY                    src dY, adapters, scratch; i1 = rank, i2 = bit mask, i3 to i5 = widths o
    QLORA_OP_COUNT,
};

enum qlora_init {
    QLORA_INIT_ZERO,       // Y starts at zero
    QLORA_INIT_ACCUMULATE, // Y keeps what it held
    QLORA_INIT_BIAS,       // every row starts as the bias [o]
    QLORA_INIT_RESIDUAL,   // Y starts as the residual [o,n]
};

enum { QLORA_CHUNK = 4096, QLORA_GROUP = 3, QLORA_TAIL = 64 };

struct qlora_op {
    uint32_t magic;
    int32_t  kind;
    int32_t  iparam[6];
    float    fparam[2];
};

void   qlora_op_compute(struct ggml_tensor * dst, int ith, int nth, void * userdata);
// Bytes of scratch per thread for rows of at most `length` tokens a sample.
size_t qlora_scratch_per_thread(int64_t length);
const char * qlora_gemm_kernel(void);

typedef void (*qlora_op_fn)(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_linear(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_linear_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_outer(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_bias_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_norm(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_norm_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_norm_back_w(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_rope_table(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_rope(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_attn(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_attn_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_swiglu(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_swiglu_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_add(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_copy(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_zero(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_dropout(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_embed(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_embed_back(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_gather(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_scatter(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_loss(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_adamw(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
void qlora_sum_squares(struct ggml_tensor * dst, const struct qlora_op * op, int ith, int nth);
