package ggml

import (
	"os"
	"sync"
	"testing"
)

// testModule is the CUDA module that QLORA_CUDA_LIBRARY names, or nil: then the tests run on the CPU.
var testModule = sync.OnceValues(func() (*Module, error) {
	path := os.Getenv("QLORA_CUDA_LIBRARY")
	if path == "" {
		return nil, nil
	}
	return LoadModule(path)
})

// testBackend starts the backend that this run of the tests is about.
func testBackend(t *testing.T, threads int) *Backend {
	t.Helper()
	module, err := testModule()
	if err != nil {
		t.Fatal(err)
	}
	open := func() (*Backend, error) { return NewCPU(threads) }
	if module != nil {
		open = func() (*Backend, error) { return module.Open(0) }
	}
	backend, err := open()
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

func TestModuleErrorsAreNamed(t *testing.T) {
	if _, err := LoadModule("testdata/absent.so"); err == nil {
		t.Error("a module that does not exist was loaded")
	}
	module, err := testModule()
	if err != nil {
		t.Fatal(err)
	}
	if module == nil {
		t.Skip("no CUDA module: set QLORA_CUDA_LIBRARY to test on a device")
	}
	if _, err := module.Open(1000); err == nil {
		t.Error("device 1000 was opened")
	}
	for _, d := range module.Devices() {
		t.Logf("device %d: %s, %d of %d MiB free", d.Index, d.Description, d.Free>>20, d.Total>>20)
	}
}
