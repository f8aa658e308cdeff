package llama

// #cgo linux LDFLAGS: -Wl,--wrap=ggml_backend_free
import "C"

// libllama is compiled by the Go tool from this package's C++ sources; only
// its C symbols are used (see llama_pinned.h).
import (
	_ "github.com/ollama/ollama/llama/llama.cpp/src"

	_ "github.com/qlora/qlora/internal/ggml/amx" // a symbol that the CPU backend needs
)
