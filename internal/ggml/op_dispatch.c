#include "ops.h"

static const qlora_op_fn table[QLORA_OP_COUNT] = {
    [QLORA_OP_LINEAR] = qlora_linear,
    [QLORA_OP_LINEAR_BACK] = qlora_linear_back,
    [QLORA_OP_OUTER] = qlora_outer,
    [QLORA_OP_BIAS_BACK] = qlora_bias_back,
    [QLORA_OP_NORM] = qlora_norm,
    [QLORA_OP_NORM_BACK] = qlora_norm_back,
    [QLORA_OP_NORM_BACK_W] = qlora_norm_back_w,
    [QLORA_OP_ROPE_TABLE] = qlora_rope_table,
    [QLORA_OP_ROPE] = qlora_rope,
    [QLORA_OP_ATTN] = qlora_attn,
    [QLORA_OP_ATTN_BACK] = qlora_attn_back,
    [QLORA_OP_SWIGLU] = qlora_swiglu,
    [QLORA_OP_SWIGLU_BACK] = qlora_swiglu_back,
    [QLORA_OP_ADD] = qlora_add,
    [QLORA_OP_COPY] = qlora_copy,
    [QLORA_OP_ZERO] = qlora_zero,
    [QLORA_OP_DROPOUT] = qlora_dropout,
    [QLORA_OP_EMBED] = qlora_embed,
    [QLORA_OP_EMBED_BACK] = qlora_embed_back,
    [QLORA_OP_GATHER] = qlora_gather,
    [QLORA_OP_SCATTER] = qlora_scatter,
    [QLORA_OP_LOSS] = qlora_loss,
    [QLORA_OP_ADAMW] = qlora_adamw,
    [QLORA_OP_SUM_SQUARES] = qlora_sum_squares,
};

void qlora_op_compute(struct ggml_tensor * dst, int ith, int nth, void * userdata) {
    const struct qlora_op * op = userdata;
    table[op->kind](dst, op, ith, nth);
}
