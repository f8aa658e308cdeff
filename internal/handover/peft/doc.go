// Package peft reads and writes LoRA adapters as the Python library PEFT keeps
// them: a folder of adapter_config.json and adapter_model.safetensors
// (https://huggingface.co/docs/peft/developer_guides/checkpoint).
//
// Two things differ from an adapter in GGUF. Tensors go by the names of
// transformers' modules. And files of the llama architecture hold the rows of q
// and k in the order of ggml's rotation, pairs side by side, where transformers
// has the two halves of a head after each other; so the rows of their B are put
// in the other order on the way.
package peft
