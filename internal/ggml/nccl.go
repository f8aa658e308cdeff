package ggml

// #include <stdlib.h>
// #include "bridge.h"
// #include "nccl.h"
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// NCCL is the part of a module that adds up gradients over several GPUs, through libnccl.so.2 of this machine.
type NCCL struct{ ptr *C.struct_qlora_nccl }

// ErrNoNCCL says that gradients must travel another way; it wraps the reason.
var ErrNoNCCL = errors.New("no NCCL")

// why is a buffer for the reason of a failure; free it.
func why() *C.char { return (*C.char)(C.calloc(1, C.QLORA_NCCL_WHY_BYTES)) }

// NCCL finds the library: where NCCL_LIBRARY says, else as libnccl.so.2 where the loader looks. The error wraps ErrNoNCCL.
func (m *Module) NCCL() (*NCCL, error) {
	reason, path := why(), C.CString(m.path)
	defer C.free(unsafe.Pointer(reason))
	defer C.free(unsafe.Pointer(path))
	n := &NCCL{ptr: C.qlora_find_nccl(path, reason)}
	if n.ptr == nil || C.qlora_nccl_available(n.ptr, reason) != 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoNCCL, C.GoString(reason))
	}
	return n, nil
}

// Module is what the backend computes with, nil on the CPU.
func (b *Backend) Module() *Module { return b.module }

// UniqueID makes the id by which the ranks of one communicator find each other: one rank makes it, all use it.
func (n *NCCL) UniqueID() ([]byte, error) {
	reason, id := why(), (*C.char)(C.calloc(1, C.QLORA_NCCL_ID_BYTES))
	defer C.free(unsafe.Pointer(reason))
	defer C.free(unsafe.Pointer(id))
	if C.qlora_nccl_unique_id(n.ptr, id, reason) != 0 {
		return nil, fmt.Errorf("make an NCCL id: %s", C.GoString(reason))
	}
	return C.GoBytes(unsafe.Pointer(id), C.QLORA_NCCL_ID_BYTES), nil
}

// Communicator is the place of one backend among those of the other ranks.
type Communicator struct {
	n   *NCCL
	ptr *C.struct_qlora_communicator
}

// Communicator joins the ranks 0..world-1 that call it with one id; it returns when all have.
func (b *Backend) Communicator(n *NCCL, id []byte, rank, world int) (*Communicator, error) {
	if b.module == nil || len(id) != C.QLORA_NCCL_ID_BYTES || world < 1 || rank < 0 || rank >= world {
		return nil, fmt.Errorf("start NCCL: rank %d of %d with an id of %d bytes on a %d-thread backend", rank, world, len(id), b.threads)
	}
	reason, raw := why(), C.CBytes(id)
	defer C.free(unsafe.Pointer(reason))
	defer C.free(raw)
	c := &Communicator{n: n}
	if C.qlora_nccl_init(n.ptr, unsafe.Pointer(b.ptr), (*C.char)(raw), C.int(rank), C.int(world), &c.ptr, reason) != 0 {
		return nil, fmt.Errorf("start NCCL as rank %d of %d: %s", rank, world, C.GoString(reason))
	}
	return c, nil
}

// pollEvery is how often AllReduce looks whether the device is done: far below the time of a step.
const pollEvery = 20 * time.Microsecond

// AllReduce replaces t, F32 and contiguous on the backend's device, by its sum over the ranks, the same bytes on each. When
// lost is closed, because a rank no longer answers, it returns an error, and the communicator is of no further use.
func (c *Communicator) AllReduce(t *Tensor, lost <-chan struct{}) error {
	if c.ptr == nil || t.Type() != F32 || t.ptr.data == nil || t.Bytes() != 4*t.Elements() {
		return fmt.Errorf("add up %s over the ranks: want contiguous f32 and an open communicator", t)
	}
	reason := why()
	defer C.free(unsafe.Pointer(reason))
	if C.qlora_nccl_all_reduce(c.n.ptr, c.ptr, t.ptr.data, C.size_t(t.Elements()), reason) != 0 {
		return fmt.Errorf("add up %s over the ranks: %s", t, C.GoString(reason))
	}
	for {
		switch C.qlora_nccl_poll(c.n.ptr, c.ptr, reason) {
		case C.QLORA_NCCL_DONE:
			return nil
		case C.QLORA_NCCL_FAILED:
			return fmt.Errorf("add up %s over the ranks: %s", t, C.GoString(reason))
		}
		select {
		case <-lost:
			c.close(1)
			return fmt.Errorf("add up %s over the ranks: a rank was lost", t)
		default:
			time.Sleep(pollEvery)
		}
	}
}

// Close leaves the other ranks; all should do so. It may be called twice.
func (c *Communicator) Close() error {
	c.close(0)
	return nil
}

func (c *Communicator) close(lost C.int) {
	if c.ptr != nil {
		C.qlora_nccl_destroy(c.n.ptr, c.ptr, lost)
	}
	c.ptr = nil
}
