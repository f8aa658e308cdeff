package cli

import (
	"errors"
	"fmt"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ggml"
)

// Why no device of a loaded library is usable.
var (
	errNoDevice  = errors.New("CUDA finds no such device")
	errOldDriver = errors.New("the driver is too old for the CUDA library")
	errNoCode    = errors.New("the CUDA library has no code for")
	errFull      = fmt.Errorf("%w: CUDA cannot start on", ggml.ErrNoMemory)
)

// machine is what a device is chosen from.
type machine struct {
	module          *ggml.Module
	err             error // why there is no module
	path            string
	architectures   string // that it holds code for
	runtime, driver ggml.CUDAVersion
	count           int                         // of devices
	device          func(index int) ggml.Device // starts CUDA on the device, so only those in question are asked
	gpuName         func() string               // the GPU that the driver reports, if any
}

// readMachine looks at this one.
func readMachine() machine {
	m := machine{gpuName: firstGPU}
	if m.module, m.err = ggml.OpenModule(); m.err != nil {
		return m
	}
	m.path, m.architectures = m.module.Path(), m.module.Architectures()
	m.runtime, m.driver = m.module.Versions()
	m.count, m.device = m.module.DeviceCount(), m.module.Device
	return m
}

// firstGPU asks NVML, which needs no CUDA library.
func firstGPU() string {
	devices, err := readGPUs()
	if err != nil || len(devices) == 0 {
		return ""
	}
	return devices[0].Name
}

// choose takes the device of that index, or the first that the library has code for.
func (m machine) choose(want config.Device) (computeDevice, error) {
	if err := m.usable(want.Index); err != nil {
		return computeDevice{}, err
	}
	first, last := want.Index, want.Index
	if want.Index < 0 {
		first, last = 0, m.count-1
	}
	var unusable error
	for i := first; i <= last; i++ {
		d := m.device(i)
		if d.Code > 0 {
			return computeDevice{module: m.module, gpu: d}, nil
		}
		if d.Full {
			unusable = fmt.Errorf("%w %s, %s", errFull, deviceName(d), d.Description)
			continue
		}
		unusable = fmt.Errorf("%w %s, %s of compute capability %d.%d", errNoCode, deviceName(d), d.Description, d.Major, d.Minor)
	}
	return computeDevice{}, unusable
}

// usable says what keeps the library from having a device of that index.
func (m machine) usable(index int) error {
	switch {
	case m.err != nil:
		return m.err
	case m.driver.Major() < m.runtime.Major() && m.driver > 0:
		return fmt.Errorf("%w: it knows CUDA %s, the library holds CUDA %s", errOldDriver, m.driver, m.runtime)
	case m.count == 0:
		return fmt.Errorf("%w: there is none", errNoDevice)
	case index >= m.count:
		return fmt.Errorf("%w: %s:%d, where the last is %s:%d", errNoDevice, config.DeviceCUDA, index, config.DeviceCUDA, m.count-1)
	}
	return nil
}
