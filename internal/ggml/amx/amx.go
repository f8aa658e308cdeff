// Package amx answers for the AMX kernels of ggml's CPU backend, which the Go module of llama.cpp's sources leaves out of
// its build. Compiled with -march=native on a processor that has AMX, the backend asks for them all the same, and would
// not link.
package amx

import "C"
