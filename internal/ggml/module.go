package ggml

// #include <stdlib.h>
// #include "bridge.h"
// #cgo LDFLAGS: -ldl
import "C"

import (
	"crypto/sha256"
	_ "embed" // the headers behind the stamp
	"encoding/hex"
	"fmt"
	"unsafe"
)

//go:embed ops.h
var opsHeader []byte

//go:embed ggml_pinned.h
var pinnedHeader []byte

// Stamp identifies the headers that a CUDA module must have been built with: structs cross the boundary by address.
func Stamp() string {
	hashes := ""
	for _, h := range [][]byte{opsHeader, pinnedHeader} {
		sum := sha256.Sum256(h)
		hashes += hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256([]byte(hashes))
	return hex.EncodeToString(sum[:])
}

// Module is a loaded libqlora-cuda.so.
type Module struct {
	path string
	ptr  *C.struct_qlora_module
	reg  C.ggml_backend_reg_t
}

// Device is a GPU that a module can compute on.
type Device struct {
	Index       int
	Description string
	Free, Total uint64 // bytes
}

// LoadModule opens the CUDA module at path and refuses one that was built from other headers.
func LoadModule(path string) (*Module, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	why := (*C.char)(C.calloc(1, 256))
	defer C.free(unsafe.Pointer(why))
	m := &Module{path: path, ptr: C.qlora_open_module(name, why)}
	if m.ptr == nil {
		return nil, fmt.Errorf("load %s: %s", path, C.GoString(why))
	}
	if got := C.GoString(C.qlora_module_stamp(m.ptr)); got != Stamp() {
		return nil, fmt.Errorf("load %s: it was built from other headers (stamp %.12s, this binary %.12s)", path, got, Stamp())
	}
	if m.reg = C.ggml_backend_load(name); m.reg == nil {
		return nil, fmt.Errorf("load %s: ggml does not accept it as a backend", path)
	}
	return m, nil
}

// Devices lists the GPUs that CUDA_VISIBLE_DEVICES leaves.
func (m *Module) Devices() []Device {
	var out []Device
	for i := range int(C.ggml_backend_reg_dev_count(m.reg)) {
		dev := C.ggml_backend_reg_dev_get(m.reg, C.size_t(i))
		var free, total C.size_t
		C.ggml_backend_dev_memory(dev, &free, &total)
		out = append(out, Device{Index: i, Description: C.GoString(C.ggml_backend_dev_description(dev)), Free: uint64(free), Total: uint64(total)})
	}
	return out
}

// Open starts a backend on device index.
func (m *Module) Open(index int) (*Backend, error) {
	if n := int(C.ggml_backend_reg_dev_count(m.reg)); index < 0 || index >= n {
		return nil, fmt.Errorf("open cuda device %d: %d devices are visible", index, n)
	}
	b := &Backend{threads: 1, module: m}
	b.ptr = C.ggml_backend_dev_init(C.ggml_backend_reg_dev_get(m.reg, C.size_t(index)), nil)
	if b.ptr == nil {
		return nil, fmt.Errorf("open cuda device %d: ggml could not start it", index)
	}
	if b.session = C.qlora_module_open(m.ptr, b.ptr); b.session == nil {
		err := fmt.Errorf("open cuda device %d: %s", index, C.GoString(C.qlora_module_error(m.ptr)))
		C.ggml_backend_free(b.ptr)
		return nil, err
	}
	return b, nil
}
