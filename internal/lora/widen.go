package lora

import "github.com/qlora/qlora/internal/gguf"

// Widen converts len(out) values of type F32, F16 or BF16 in data to F32.
// Other types are an error.
func Widen(t gguf.Type, data []byte, out []float32) error { return widen(t, data, out) }
