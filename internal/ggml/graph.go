package ggml

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Graph is a list of nodes that run in the order they were added. Each node writes into a tensor that already has its
// memory, so building a graph allocates nothing but the nodes.
type Graph struct {
	name  string
	ctx   C.ggml_context_t
	nodes []*C.struct_ggml_tensor // Go memory that holds only C pointers, so that C may read it during a call
	ops   []*C.struct_qlora_op
	room  int
	half  bool // 16-bit activations and groups are allowed
	err   error

	recorder  *Backend        // the device that recorded the graph
	recording *unsafe.Pointer // in C memory; the module's
}

// NewGraph makes a graph of at most n nodes.
func NewGraph(name string, n int) (*Graph, error) {
	size := C.size_t(n+1) * C.ggml_tensor_overhead()
	ctx := C.ggml_init(C.struct_ggml_init_params{mem_size: size, no_alloc: true})
	if ctx == nil {
		return nil, fmt.Errorf("make graph %s of %d nodes: out of memory", name, n)
	}
	return &Graph{name: name, ctx: ctx, room: n}, nil
}

// ForDevice accepts what the CPU's operations do not compute: F16 and BF16 activations, and groups of linears.
func (g *Graph) ForDevice() { g.half = true }

// Err is the first error met while nodes were added.
func (g *Graph) Err() error { return g.err }

// Nodes is the number of nodes added.
func (g *Graph) Nodes() int { return len(g.ops) }

// Close frees the nodes. It may be called twice.
func (g *Graph) Close() error {
	for _, op := range g.ops {
		C.free(unsafe.Pointer(op))
	}
	g.ops, g.nodes = nil, nil
	if g.recording != nil {
		C.qlora_module_forget(g.recorder.module.ptr, *g.recording)
		C.free(unsafe.Pointer(g.recording))
		g.recording = nil
	}
	if g.ctx != nil {
		C.ggml_free(g.ctx)
		g.ctx = nil
	}
	return nil
}

// recordingFor is where the module of b keeps what it knows of this graph, whose nodes may not change any more.
func (g *Graph) recordingFor(b *Backend) *unsafe.Pointer {
	if g.recording == nil {
		g.recorder, g.recording = b, (*unsafe.Pointer)(C.calloc(1, C.size_t(unsafe.Sizeof(unsafe.Pointer(nil)))))
	}
	return g.recording
}

func (g *Graph) fail(op string, format string, args ...any) {
	if g.err == nil {
		g.err = fmt.Errorf("graph %s, %s: %s", g.name, op, fmt.Sprintf(format, args...))
	}
}

type opParams struct {
	i [6]int32
	f [2]float32
}

// add appends a node that writes dst. nil sources are allowed where ops.h says so.
func (g *Graph) add(kind C.enum_qlora_op_kind, dst *Tensor, p opParams, src ...*Tensor) {
	if g.err != nil {
		return
	}
	if g.room == 0 {
		g.fail(dst.Name(), "no room for another node")
		return
	}
	g.room--
	op := (*C.struct_qlora_op)(C.calloc(1, C.sizeof_struct_qlora_op))
	op.magic, op.kind = C.QLORA_OP_MAGIC, C.int32_t(kind)
	for i, v := range p.i {
		op.iparam[i] = C.int32_t(v)
	}
	for i, v := range p.f {
		op.fparam[i] = C.float(v)
	}
	g.ops = append(g.ops, op)
	var args [9]*C.struct_ggml_tensor
	for i, s := range src {
		if s != nil {
			args[i] = s.ptr
		}
	}
	g.nodes = append(g.nodes, C.qlora_node(g.ctx, dst.ptr, &args[0], C.int(len(src)), op))
}

// f32 checks that t is F32 and holds d x n values.
func (g *Graph) f32(op string, t *Tensor, d, n int64) bool {
	if !g.matrix(op, t, d, n) {
		return false
	}
	if t.Type() != F32 {
		g.fail(op, "%s is not F32", t)
		return false
	}
	return true
}

// matrix checks that t has an activation's type and holds d x n values.
func (g *Graph) matrix(op string, t *Tensor, d, n int64) bool {
	if g.err != nil {
		return false
	}
	if !g.activation(t) || t.Ne(0) != d || t.Elements() != d*n {
		g.fail(op, "%s is no activation [%d, %d]", t, d, n)
		return false
	}
	return true
}

func (g *Graph) activation(t *Tensor) bool {
	return t != nil && (t.Type() == F32 || g.half && (t.Type() == F16 || t.Type() == BF16))
}

// alike checks that all tensors have x's dimensions and an activation's type.
func (g *Graph) alike(op string, x *Tensor, rest ...*Tensor) bool {
	for _, t := range append(rest, x) {
		if g.err == nil && (!g.activation(t) || t.ptr.ne != x.ptr.ne) {
			g.fail(op, "%s has not the shape of %s", t, x)
		}
	}
	return g.err == nil
}

// same checks that all tensors have one type.
func (g *Graph) same(op string, first *Tensor, rest ...*Tensor) bool {
	for _, t := range rest {
		if g.err == nil && t.Type() != first.Type() {
			g.fail(op, "%s and %s differ in type", first, t)
		}
	}
	return g.err == nil
}

func (g *Graph) indices(op string, t *Tensor, n int64) bool {
	if g.err != nil {
		return false
	}
	if t == nil || t.Type() != I32 || t.Elements() != n {
		g.fail(op, "%s is not I32 [%d]", t, n)
		return false
	}
	return true
}
