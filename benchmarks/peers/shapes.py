"""The shapes that the training benchmark measures, as transformers' Qwen2Config names them, and what they cost."""


def qwen2(hidden, layers, heads, kv_heads, feed_forward, vocab, tied):
    return {"hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
            "intermediate_size": feed_forward, "vocab_size": vocab, "tie_word_embeddings": tied}


SHAPES = {
    "0.5b": qwen2(896, 24, 14, 2, 4864, 151936, True),
    "1.5b": qwen2(1536, 28, 12, 2, 8960, 151936, True),
    "7b": qwen2(3584, 28, 28, 4, 18944, 152064, False),
    "14b": qwen2(5120, 48, 40, 8, 13824, 152064, False),
}


def matrix_parameters(shape):
    """Values of all matrices that multiply a token: the blocks' linears and the head, but not the look-up of the embedding."""
    s = SHAPES[shape]
    hidden = s["hidden_size"]
    keys = hidden // s["num_attention_heads"] * s["num_key_value_heads"]
    block = 2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * s["intermediate_size"]
    return s["num_hidden_layers"] * block + hidden * s["vocab_size"]


def flops_per_token(shape, recompute):
    """Of the frozen matrices: forward and the gradient of their input, 2 FLOP a value each, and forward again where it is
    recomputed. Attention, adapters and the loss come on top and are not counted."""
    return (6 if recompute else 4) * matrix_parameters(shape)
