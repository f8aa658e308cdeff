package llama

// #include "bridge.h"
import "C"

import "sync"

// reserving is locked while libllama plans its largest graph, for a new context and in the Decode after a Move. The pinned
// ggml-cuda does that with a switch of the whole process, which makes every copy to and from the GPU a copy of nothing.
var reserving sync.RWMutex

func (c *Context) decode() int {
	exclusive := c.moved && c.model.onGPU
	c.moved = false
	if exclusive {
		reserving.Lock()
		defer reserving.Unlock()
	} else {
		reserving.RLock()
		defer reserving.RUnlock()
	}
	return int(C.ql_decode(c.handle, c.batch))
}

// ClearMemory forgets all sequences.
func (c *Context) ClearMemory() {
	if c.handle != nil {
		C.llama_memory_clear(C.llama_get_memory(c.handle), false)
	}
}

// Forget removes the tokens of seq from position from on and tells whether
// that was possible (models with a recurrent state cannot).
func (c *Context) Forget(seq, from int32) bool {
	if c.handle == nil {
		return false
	}
	return bool(C.llama_memory_seq_rm(C.llama_get_memory(c.handle), C.int32_t(seq), C.int32_t(from), -1))
}

// Move makes sequence from sequence to, whose own tokens are forgotten. In a context with SplitCache the cache is copied
// with the next Decode.
func (c *Context) Move(from, to int32) {
	if c.handle == nil || from == to {
		return
	}
	c.moved = true
	memory := C.llama_get_memory(c.handle)
	C.llama_memory_seq_rm(memory, C.int32_t(to), -1, -1)
	C.llama_memory_seq_cp(memory, C.int32_t(from), C.int32_t(to), -1, -1)
	C.llama_memory_seq_rm(memory, C.int32_t(from), -1, -1)
}
