// Package safetensors reads and writes tensors in the safetensors format, as
// its documentation describes it (https://huggingface.co/docs/safetensors): the
// length of a JSON header in eight little-endian bytes, the header, which maps
// names to element types, shapes and byte ranges, and then the bytes. Shapes
// are as in PyTorch, the innermost dimension last.
package safetensors
