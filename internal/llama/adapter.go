package llama

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Adapter is a LoRA adapter loaded for one model.
type Adapter struct {
	model  *Model
	path   string
	handle *C.struct_llama_adapter_lora
	users  atomic.Int32 // contexts that apply it; they may compute side by side
}

// AdapterScale is an adapter with the factor that it is applied at, 1 for as
// trained.
type AdapterScale struct {
	Adapter *Adapter
	Scale   float32
}

// LoadAdapter reads a LoRA adapter in GGUF. The error is a *FileError when the
// file is to blame: of another architecture, with tensors that the model lacks
// or of other shapes.
func (m *Model) LoadAdapter(path string) (*Adapter, error) {
	if err := checkFile(path); err != nil {
		return nil, fmt.Errorf("load adapter: %w", err)
	}
	model, err := m.adopt()
	if err != nil {
		return nil, fmt.Errorf("load adapter %s: %w", path, err)
	}
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var handle *C.struct_llama_adapter_lora
	lines := capturing(func() {
		reserving.RLock()
		defer reserving.RUnlock()
		handle = C.ql_load_adapter(model, cpath)
	})
	if handle == nil {
		m.release()
		why := fmt.Sprintf("does not fit %s: %s", m.path, reason(lines, "libllama refused it"))
		return nil, fmt.Errorf("load adapter: %w", &FileError{Path: path, Reason: why})
	}
	return &Adapter{model: m, path: path, handle: handle}, nil
}

// Path returns the file that the adapter was loaded from.
func (a *Adapter) Path() string { return a.path }

// Meta returns a scalar metadata value as text.
func (a *Adapter) Meta(key string) (string, bool) {
	if a.handle == nil {
		return "", false
	}
	ckey := C.CString(key)
	defer C.free(unsafe.Pointer(ckey))
	return readString(func(buf *C.char, size C.size_t) C.int32_t {
		return C.llama_adapter_meta_val_str(a.handle, ckey, buf, size)
	})
}

// Close frees the adapter. It refuses while a context applies it; closing
// twice does nothing.
func (a *Adapter) Close() error {
	if a.handle == nil {
		return nil
	}
	if n := a.users.Load(); n > 0 {
		return fmt.Errorf("close adapter %s: %d contexts still apply it", a.path, n)
	}
	C.llama_adapter_lora_free(a.handle)
	a.handle = nil
	a.model.release()
	return nil
}

// SetAdapters replaces the adapters that the context applies; none restores
// the base model. The cache is emptied, because it was computed with the old
// ones.
func (c *Context) SetAdapters(adapters []AdapterScale) error {
	if c.handle == nil {
		return fmt.Errorf("set adapters: context: %w", ErrClosed)
	}
	for _, a := range adapters {
		if a.Adapter == nil || a.Adapter.handle == nil {
			return fmt.Errorf("set adapters: adapter: %w", ErrClosed)
		}
		if a.Adapter.model != c.model {
			return fmt.Errorf("set adapters: %s was loaded for another model", a.Adapter.path)
		}
	}
	if err := c.renew(); err != nil {
		return fmt.Errorf("set adapters: %w", err)
	}
	for _, a := range adapters {
		if rc := C.llama_set_adapter_lora(c.handle, a.Adapter.handle, C.float(a.Scale)); rc != 0 {
			return fmt.Errorf("set adapter %s: libllama failed with code %d", a.Adapter.path, rc)
		}
		a.Adapter.users.Add(1)
		c.applied = append(c.applied, a)
	}
	return nil
}

// renew puts a context without adapters in place of the present one. libllama
// reuses the graph of the last decode when shapes agree and does not notice
// that adapters changed, so a context that has decoded cannot be kept.
func (c *Context) renew() error {
	if c.fresh && len(c.applied) == 0 {
		return nil
	}
	handle, err := newHandle(c.model.handle, c.options)
	if err != nil {
		return err
	}
	c.detachAdapters()
	C.ql_free_context(c.handle)
	C.ql_trim()
	c.handle, c.outputs, c.fresh = handle, nil, true
	return nil
}

func (c *Context) detachAdapters() {
	for _, a := range c.applied {
		a.Adapter.users.Add(-1)
	}
	c.applied = nil
}
