package ggml

// #include <stdlib.h>
// #include "bridge.h"
// #cgo LDFLAGS: -ldl
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"
)

// Why there is no module to compute with.
var (
	ErrNoModule    = errors.New("no CUDA library")                         // it is in none of the places
	ErrNoDriver    = errors.New("no NVIDIA driver")                        // libcuda.so.1 cannot be loaded
	ErrOtherStamp  = errors.New("it was built from other headers")         // by another version of this project
	ErrLibraryPath = errors.New(LibraryPathEnv + " names no CUDA library") // the user's own mistake
)

// Module is a loaded libqlora-cuda.so.
type Module struct {
	path string
	ptr  *C.struct_qlora_module
	reg  C.ggml_backend_reg_t
}

var openModule = sync.OnceValues(func() (*Module, error) {
	path, tried, err := FindModule()
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, fmt.Errorf("%w: %s is not in %s", ErrNoModule, ModuleFile, strings.Join(tried, ", "))
	}
	return LoadModule(path)
})

// OpenModule loads the module that FindModule finds, at its first call; later calls return the same. The error is
// ErrNoModule, ErrNoDriver, ErrOtherStamp or ErrLibraryPath, or says what the loader did not like.
func OpenModule() (*Module, error) { return openModule() }

// LoadModule opens the CUDA module at path and refuses one that was built from other headers.
func LoadModule(path string) (*Module, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("load %s: %w", path, errors.Unwrap(err))
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	why := (*C.char)(C.calloc(1, C.QLORA_WHY))
	defer C.free(unsafe.Pointer(why))
	m := &Module{path: path, ptr: C.qlora_open_module(name, why)}
	if m.ptr == nil {
		return nil, fmt.Errorf("load %s: %w", path, loaderError(C.GoString(why)))
	}
	if err := m.bind(name, why); err != nil {
		C.qlora_close_module(m.ptr)
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return m, nil
}

// loaderError tells a missing driver, which the module is linked to, from everything else that keeps it from loading.
func loaderError(text string) error {
	why := (*C.char)(C.calloc(1, C.QLORA_WHY))
	defer C.free(unsafe.Pointer(why))
	if !C.qlora_driver_loads(why) {
		return fmt.Errorf("%w: %s", ErrNoDriver, C.GoString(why))
	}
	return errors.New(text)
}

// bind checks the stamp before it asks for anything that an older module may lack.
func (m *Module) bind(name, why *C.char) error {
	if got := C.GoString(C.qlora_module_stamp(m.ptr)); got != Stamp() {
		return fmt.Errorf("%w (stamp %.12s, this binary %.12s)", ErrOtherStamp, got, Stamp())
	}
	if !C.qlora_bind_module(m.ptr, why) {
		return errors.New(C.GoString(why))
	}
	if m.reg = C.ggml_backend_load(name); m.reg == nil {
		return errors.New("ggml does not accept it as a backend")
	}
	return nil
}

// Path is the file that the module was loaded from.
func (m *Module) Path() string { return m.path }

// Architectures is what the module holds code for, as CMake names it: "75-real 80-real 90".
func (m *Module) Architectures() string { return C.GoString(C.qlora_module_architectures(m.ptr)) }

// Versions are the CUDA runtime inside the module and the newest that the driver supports; the latter is 0 without one.
func (m *Module) Versions() (runtime, driver CUDAVersion) {
	var r, d C.int
	C.qlora_module_versions(m.ptr, &r, &d)
	return CUDAVersion(r), CUDAVersion(d)
}

// Open starts a backend on device index.
func (m *Module) Open(index int) (*Backend, error) {
	if n := int(C.ggml_backend_reg_dev_count(m.reg)); index < 0 || index >= n {
		return nil, fmt.Errorf("open cuda device %d: %d devices are visible", index, n)
	}
	b := &Backend{threads: 1, module: m}
	b.ptr = C.ggml_backend_dev_init(C.ggml_backend_reg_dev_get(m.reg, C.size_t(index)), nil)
	if b.ptr == nil {
		return nil, fmt.Errorf("open cuda device %d: %w", index, deviceError("ggml could not start it"))
	}
	if b.session = C.qlora_module_open(m.ptr, b.ptr); b.session == nil {
		err := fmt.Errorf("open cuda device %d: %w", index, m.failure())
		C.ggml_backend_free(b.ptr)
		return nil, err
	}
	return b, nil
}
