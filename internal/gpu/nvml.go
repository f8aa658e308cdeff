// Package gpu asks the NVIDIA driver, through its management library NVML,
// which devices there are and how busy they are. The library is opened at run
// time: without it, everything else works.
package gpu

import (
	"errors"
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// ErrNoDriver says that this machine has no usable NVIDIA driver.
var ErrNoDriver = errors.New("no NVIDIA driver")

// Library is the part of NVML's library that this package calls. Tests stand
// in for it; see gputest.
type Library interface {
	Init() nvml.Return
	Shutdown() nvml.Return
	SystemGetDriverVersion() (string, nvml.Return)
	DeviceGetCount() (int, nvml.Return)
	DeviceGetHandleByIndex(index int) (nvml.Device, nvml.Return)
	DeviceGetHandleByUUID(uuid string) (nvml.Device, nvml.Return)
}

// NVML is an open connection to the driver. Close it.
type NVML struct {
	lib    Library
	closed bool
}

// Open connects to the driver. The error is ErrNoDriver, with the reason, when
// the library is missing or finds no driver behind it.
func Open() (*NVML, error) { return OpenLibrary(nvml.New()) }

// OpenLibrary is Open with another library behind it.
func OpenLibrary(lib Library) (*NVML, error) {
	switch ret := lib.Init(); ret {
	case nvml.SUCCESS:
		return &NVML{lib: lib}, nil
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		return nil, fmt.Errorf("%w: libnvidia-ml.so.1 not found", ErrNoDriver)
	case nvml.ERROR_DRIVER_NOT_LOADED:
		return nil, fmt.Errorf("%w: the kernel module is not loaded", ErrNoDriver)
	default:
		return nil, fmt.Errorf("open NVML: %w", ret)
	}
}

// Close ends the connection. A second call does nothing.
func (n *NVML) Close() error {
	if n.closed {
		return nil
	}
	n.closed = true
	if ret := n.lib.Shutdown(); ret != nvml.SUCCESS {
		return fmt.Errorf("close NVML: %w", ret)
	}
	return nil
}
