package llama

// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
)

// Apply makes the next decodes use these adapters and keeps the cache: what a
// sequence holds stays what its own adapters computed, and the caller sees to
// it that a sequence goes on with those. The context must have been made with
// SwitchAdapters.
func (c *Context) Apply(adapters []AdapterScale) error {
	switch {
	case c.handle == nil:
		return fmt.Errorf("apply adapters: context: %w", ErrClosed)
	case !c.options.SwitchAdapters:
		return errors.New("apply adapters: the context was not made to switch them")
	case slices.Equal(adapters, c.applied):
		return nil
	}
	for _, a := range adapters {
		if a.Adapter == nil || a.Adapter.handle == nil {
			return fmt.Errorf("apply adapters: adapter: %w", ErrClosed)
		}
		if a.Adapter.model != c.model {
			return fmt.Errorf("apply adapters: %s was loaded for another model", a.Adapter.path)
		}
	}
	c.detachAdapters()
	C.llama_clear_adapter_lora(c.handle)
	for _, a := range adapters {
		if rc := C.llama_set_adapter_lora(c.handle, a.Adapter.handle, C.float(a.Scale)); rc != 0 {
			return fmt.Errorf("apply adapter %s: libllama failed with code %d", a.Adapter.path, rc)
		}
		a.Adapter.users.Add(1)
		c.applied = append(c.applied, a)
	}
	return nil
}
