package cli

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/qlora/qlora/internal/ggml"
)

// oldestCapability is that of the oldest devices that the training kernels are written for.
const oldestCapability = 75

// checkCUDA looks at the CUDA library, the driver behind it and each device.
func checkCUDA(m machine) []check {
	checks := []check{checkLibrary(m)}
	if m.err != nil {
		return checks
	}
	checks = append(checks, checkVersions(m))
	for i := range m.count {
		checks = append(checks, checkDevice(m.device(i)))
	}
	return checks
}

func checkLibrary(m machine) check {
	c := check{Name: "cuda library", State: checkMissing}
	switch {
	case m.err == nil:
		c.State, c.Detail = checkOK, fmt.Sprintf("%s, CUDA %s, compute capabilities %s", m.path, m.runtime, m.architectures)
	case errors.Is(m.err, ggml.ErrLibraryPath): // every command that could use a GPU stops there
		c.State, c.Detail = checkFailed, m.err.Error()
		c.Advice = "name the library or its folder, or unset " + ggml.LibraryPathEnv
	default:
		c.Detail, c.Advice = m.err.Error(), deviceHints(m.err)[0]
	}
	return c
}

// checkVersions holds the CUDA of the library to what the driver knows.
func checkVersions(m machine) check {
	c := check{Name: "cuda driver", State: checkOK, Detail: fmt.Sprintf("knows CUDA %s; the library holds CUDA %s", m.driver, m.runtime)}
	if m.driver == 0 {
		c.Detail = "none is loaded"
	}
	err := m.usable(-1)
	if err == nil {
		return c
	}
	c.State, c.Advice = checkMissing, deviceHints(err)[0]
	if !errors.Is(err, errOldDriver) { // the two versions say that already
		c.Detail += "; " + err.Error()
	}
	return c
}

func checkDevice(d ggml.Device) check {
	c := check{Name: deviceName(d), State: checkOK, Detail: fmt.Sprintf("%s, compute capability %d.%d, %s of %s free, %s",
		d.Description, d.Major, d.Minor, humanize.IBytes(d.Free), humanize.IBytes(d.Total), d.PCI)}
	switch {
	case d.Capability() < oldestCapability:
		c.State, c.Advice = checkMissing, "training on a GPU needs compute capability 7.5; use the CPU with --device cpu"
	case d.Full:
		c.State, c.Detail = checkMissing, fmt.Sprintf("%s, too little memory is free to start CUDA on it", d.Description)
		c.Advice = deviceHints(errFull)[0]
	case d.Code == 0:
		c.State, c.Advice = checkMissing, fmt.Sprintf("the library has no code for it: make cuda CUDA_ARCH=%d", d.Capability())
	case d.Kernels() < bf16Capability && d.Capability() >= bf16Capability:
		c.Detail += fmt.Sprintf("; the library's code for it is of %d.%d and has no bf16: make cuda CUDA_ARCH=%d", d.Code/10, d.Code%10, d.Capability())
	}
	return c
}
