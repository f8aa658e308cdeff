// Package ggml binds the part of ggml that training needs: typed tensors in backend buffers, graphs of explicit nodes, the
// CPU backend, quantisation of rows, and the training operations themselves, which are C functions beside this file and
// run as custom nodes of a ggml graph (ops.h is their contract).
//
// ggml aborts the process on a shape it does not like, so every constructor here checks shapes and types first and records
// an error that names the operation and its tensors.
package ggml

// #cgo CFLAGS: -std=gnu11 -O3
// #cgo LDFLAGS: -lm
// #cgo linux LDFLAGS: -Wl,--wrap=llamafile_sgemm
import "C"

import (
	// The CGo package that compiles ggml and its CPU backend.
	_ "github.com/ollama/ollama/ml/backend/ggml/ggml/src"

	_ "github.com/qlora/qlora/internal/ggml/amx" // a symbol that it needs
)
