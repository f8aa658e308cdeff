package ggml

import (
	"fmt"
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
	if runtime, driver := module.Versions(); runtime.Major() < 11 || driver.Major() < runtime.Major() || module.Architectures() == "" {
		t.Errorf("CUDA %s for %q, driver %s", runtime, module.Architectures(), driver)
	}
	for i, d := range module.Devices() {
		t.Logf("device %d: %s, %s, capability %d.%d, code for %d, %d of %d MiB free", d.Index, d.Description, d.PCI, d.Major, d.Minor, d.Code, d.Free>>20, d.Total>>20)
		if d.Index != i || d.Name != fmt.Sprintf("CUDA%d", i) || d.Capability() < 50 || d.Code < 50 || d.Kernels() > d.Capability() || len(d.UUID) != 40 || d.PCI == "" || d.Free > d.Total {
			t.Errorf("implausible: %+v", d)
		}
	}
}
