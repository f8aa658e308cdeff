package ggml

// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Backend computes graphs: on the CPU with a pool of threads that stays alive between graphs, or on a CUDA device.
type Backend struct {
	ptr     C.ggml_backend_t
	pool    *C.struct_qlora_pool // the CPU's threads
	threads int
	module  *Module        // nil on the CPU
	session unsafe.Pointer // the module's
}

// NewCPU starts a CPU backend. Results do not depend on the number of threads.
func NewCPU(threads int) (*Backend, error) {
	if threads < 1 || threads > 512 {
		return nil, fmt.Errorf("start cpu backend: %d threads, want 1 to 512", threads)
	}
	b := &Backend{threads: threads, ptr: C.ggml_backend_cpu_init(), pool: C.qlora_pool_new(C.int(threads))}
	if b.ptr == nil || b.pool == nil {
		b.Close()
		return nil, fmt.Errorf("start cpu backend: no memory or no leave for %d threads", threads)
	}
	return b, nil
}

// Threads is the number of threads graphs run on.
func (b *Backend) Threads() int { return b.threads }

// Compute runs every node of g in the order it was added. On a device it returns when the nodes are queued; reading a tensor
// waits for them.
func (b *Backend) Compute(g *Graph) error {
	if err := g.Err(); err != nil || len(g.ops) == 0 {
		return err
	}
	if b.pool != nil {
		C.qlora_pool_run(b.pool, &g.nodes[0], &g.ops[0], C.int(len(g.ops)))
		return nil
	}
	if C.qlora_module_run(b.module.ptr, b.session, &g.nodes[0], &g.ops[0], C.int(len(g.ops)), g.recordingFor(b)) != 0 {
		return fmt.Errorf("compute graph %s: %w", g.name, b.module.failure())
	}
	return nil
}

// OnHost reports whether tensors live in ordinary memory, where files can be mapped.
func (b *Backend) OnHost() bool { return b.module == nil }

// Close stops the threads. It may be called twice.
func (b *Backend) Close() error {
	if b.pool != nil {
		C.qlora_pool_free(b.pool)
	}
	if b.ptr != nil {
		if b.module != nil {
			C.qlora_module_close(b.module.ptr, b.session)
		}
		C.ggml_backend_free(b.ptr)
	}
	b.ptr, b.pool = nil, nil
	return nil
}

// GemmKernel names the matrix kernel chosen for this processor: avx512, avx2 or portable.
func GemmKernel() string { return C.GoString(C.qlora_gemm_kernel()) }

// CompiledFor reports which vector sets ggml itself was compiled with; without them inference is slower.
func CompiledFor() (avx2, avx512 bool) {
	return C.ggml_cpu_has_avx2() != 0, C.ggml_cpu_has_avx512() != 0
}

// ScratchBytes is the scratch that one thread's operations need when no sample is longer than length tokens.
func ScratchBytes(length int64) int64 {
	return int64(C.qlora_scratch_per_thread(C.int64_t(length)))
}
