package llama

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"strings"
	"sync"
	"unsafe"
)

// LoadOptions says how a model file is loaded.
type LoadOptions struct {
	VocabOnly bool // vocabulary and metadata only; no contexts or adapters
	MMap      bool // map the weights instead of reading them
	NoRepack  bool // keep the weights as stored: no copy in the processor's preferred order

	// Device is the GPU to compute on, by its name in ggml's registry (ggml.Device.Name, whose module must be loaded);
	// empty: the CPU alone.
	Device    string
	GPULayers int // layers to place on Device; -1 for all
}

// Model is a loaded GGUF model.
type Model struct {
	path      string
	vocabOnly bool
	onGPU     bool
	vocab     *Vocab

	mu       sync.Mutex
	handle   *C.struct_llama_model
	children int // open contexts and adapters
}

// Load reads the model at path; a first shard (-00001-of-0000N) brings the
// others. The error is a *FileError when the file is to blame.
func Load(path string, o LoadOptions) (*Model, error) {
	if err := checkFile(path); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	initialise()
	devices, err := deviceList(o.Device)
	if err != nil {
		return nil, fmt.Errorf("load model %s: %w", path, err)
	}
	defer C.free(unsafe.Pointer(devices))
	params := C.llama_model_default_params()
	params.devices = devices
	params.vocab_only = C.bool(o.VocabOnly)
	params.n_gpu_layers = C.int32_t(gpuLayers(o.GPULayers))
	params.use_mmap = C.bool(o.MMap)
	params.use_extra_bufts = C.bool(!o.NoRepack)
	cpath := C.CString(path)
	defer C.free(unsafe.Pointer(cpath))
	var handle *C.struct_llama_model
	lines := capturing(func() {
		reserving.RLock()
		defer reserving.RUnlock()
		handle = C.ql_load(cpath, params)
	})
	if handle == nil && o.Device != "" && outOfMemory(lines) {
		return nil, fmt.Errorf("load model %s on %s: %w", path, o.Device, ErrNoMemory)
	}
	if handle == nil {
		return nil, fmt.Errorf("load model: %w", &FileError{Path: path, Reason: reason(lines, "libllama refused it")})
	}
	m := &Model{path: path, vocabOnly: o.VocabOnly, onGPU: o.Device != "", handle: handle}
	m.vocab = newVocab(m)
	return m, nil
}

// deviceList is the C array of the devices that a model may use, which ends in NULL; without a name it is empty, so that
// libllama does not choose among those that are loaded. The caller frees it.
func deviceList(name string) (**C.struct_ggml_backend_device, error) {
	list := (**C.struct_ggml_backend_device)(C.calloc(2, C.size_t(unsafe.Sizeof(uintptr(0)))))
	switch {
	case list == nil:
		return nil, ErrNoMemory
	case name == "":
		return list, nil
	}
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	if *list = C.ggml_backend_dev_by_name(cname); *list == nil {
		C.free(unsafe.Pointer(list))
		return nil, fmt.Errorf("%w: %s", ErrNoDevice, name)
	}
	return list, nil
}

// gpuLayers maps "all" to a count above any model's.
func gpuLayers(n int) int {
	if n < 0 {
		return 1 << 20
	}
	return min(n, 1<<20)
}

// Close frees the model. It refuses while contexts or adapters of the model
// are open; closing twice does nothing.
func (m *Model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.handle == nil {
		return nil
	}
	if m.children > 0 {
		return fmt.Errorf("close model %s: %d contexts or adapters are still open", m.path, m.children)
	}
	m.vocab.detach()
	C.llama_model_free(m.handle)
	C.ql_trim()
	m.handle = nil
	return nil
}

// adopt registers a context or adapter and returns the C model.
func (m *Model) adopt() (*C.struct_llama_model, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.handle == nil {
		return nil, fmt.Errorf("model %s: %w", m.path, ErrClosed)
	}
	if m.vocabOnly {
		return nil, fmt.Errorf("model %s was loaded for its vocabulary only", m.path)
	}
	m.children++
	return m.handle, nil
}

func (m *Model) release() {
	m.mu.Lock()
	m.children--
	m.mu.Unlock()
}

// with calls f with the C model unless it is closed.
func (m *Model) with(f func(*C.struct_llama_model)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.handle != nil {
		f(m.handle)
	}
}

// Path returns the file that the model was loaded from.
func (m *Model) Path() string { return m.path }

// Vocab returns the model's vocabulary, valid until the model is closed.
func (m *Model) Vocab() *Vocab { return m.vocab }

// Meta returns a scalar metadata value as text. Arrays are not available.
func (m *Model) Meta(key string) (value string, ok bool) {
	ckey := C.CString(key)
	defer C.free(unsafe.Pointer(ckey))
	m.with(func(h *C.struct_llama_model) {
		value, ok = readString(func(buf *C.char, size C.size_t) C.int32_t {
			return C.llama_model_meta_val_str(h, ckey, buf, size)
		})
	})
	return value, ok
}

// readString calls read with a buffer large enough for its whole answer; read
// returns the length without the terminating zero, or a negative number.
func readString(read func(buf *C.char, size C.size_t) C.int32_t) (string, bool) {
	buf := make([]byte, 256)
	n := int(read((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf))))
	if n >= len(buf) {
		buf = make([]byte, n+1)
		n = int(read((*C.char)(unsafe.Pointer(&buf[0])), C.size_t(len(buf))))
	}
	if n < 0 {
		return "", false
	}
	return string(buf[:n]), true
}

// Arch returns general.architecture, such as "llama".
func (m *Model) Arch() string {
	arch, _ := m.Meta("general.architecture")
	return arch
}

// Describe returns libllama's one-line description: architecture, size, type. A
// size that libllama has no name for is the number of parameters.
func (m *Model) Describe() (text string) {
	m.with(func(h *C.struct_llama_model) {
		text, _ = readString(func(buf *C.char, size C.size_t) C.int32_t {
			return C.llama_model_desc(h, buf, size)
		})
	})
	return strings.Replace(text, "?B", shortCount(m.Params()), 1)
}

// shortCount is such as "5.8M".
func shortCount(n uint64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if v := float64(n) / unit.size; v >= 0.95 {
			return fmt.Sprintf("%.1f%s", v, unit.name)
		}
	}
	return fmt.Sprint(n)
}

// Embedding returns the width of the residual stream.
func (m *Model) Embedding() (n int) {
	m.with(func(h *C.struct_llama_model) { n = int(C.llama_model_n_embd(h)) })
	return n
}

// Layers returns the number of decoder blocks.
func (m *Model) Layers() (n int) {
	m.with(func(h *C.struct_llama_model) { n = int(C.llama_model_n_layer(h)) })
	return n
}

// TrainedContext returns the context length that the model was trained with,
// in tokens.
func (m *Model) TrainedContext() (n int) {
	m.with(func(h *C.struct_llama_model) { n = int(C.llama_model_n_ctx_train(h)) })
	return n
}

// Params returns the number of weights.
func (m *Model) Params() (n uint64) {
	m.with(func(h *C.struct_llama_model) { n = uint64(C.llama_model_n_params(h)) })
	return n
}

// Size returns the bytes of all tensors.
func (m *Model) Size() (n uint64) {
	m.with(func(h *C.struct_llama_model) { n = uint64(C.llama_model_size(h)) })
	return n
}

// ChatTemplate returns tokenizer.chat_template, or "" when there is none.
func (m *Model) ChatTemplate() (text string) {
	m.with(func(h *C.struct_llama_model) { text = C.GoString(C.llama_model_chat_template(h, nil)) })
	return text
}
