package gpu

import (
	"errors"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
)

// fakeLibrary is a driver with the given devices.
type fakeLibrary struct {
	init    nvml.Return
	devices []nvml.Device
	closed  int
}

func (f *fakeLibrary) Init() nvml.Return { return f.init }
func (f *fakeLibrary) Shutdown() nvml.Return {
	f.closed++
	return nvml.SUCCESS
}
func (f *fakeLibrary) SystemGetDriverVersion() (string, nvml.Return) { return "550.1", nvml.SUCCESS }
func (f *fakeLibrary) DeviceGetCount() (int, nvml.Return)            { return len(f.devices), nvml.SUCCESS }
func (f *fakeLibrary) DeviceGetHandleByIndex(i int) (nvml.Device, nvml.Return) {
	return f.devices[i], nvml.SUCCESS
}

// talkative answers everything; reserved refuses what devices may refuse.
func talkative() *mock.Device {
	return &mock.Device{
		GetNameFunc:             func() (string, nvml.Return) { return "NVIDIA RTX", nvml.SUCCESS },
		GetUUIDFunc:             func() (string, nvml.Return) { return "GPU-1", nvml.SUCCESS },
		GetMemoryInfoFunc:       func() (nvml.Memory, nvml.Return) { return nvml.Memory{Total: 10, Used: 4, Free: 6}, nvml.SUCCESS },
		GetUtilizationRatesFunc: func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{Gpu: 37}, nvml.SUCCESS },
		GetTemperatureFunc:      func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 61, nvml.SUCCESS },
		GetPowerUsageFunc:       func() (uint32, nvml.Return) { return 70_500, nvml.SUCCESS },
		GetComputeRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) {
			return []nvml.ProcessInfo{{Pid: 7, UsedGpuMemory: 3}, {Pid: 8, UsedGpuMemory: ^uint64(0)}}, nvml.SUCCESS
		},
	}
}

func reserved() *mock.Device {
	d := talkative()
	d.GetUtilizationRatesFunc = func() (nvml.Utilization, nvml.Return) { return nvml.Utilization{}, nvml.ERROR_NOT_SUPPORTED }
	d.GetTemperatureFunc = func(nvml.TemperatureSensors) (uint32, nvml.Return) { return 0, nvml.ERROR_NOT_SUPPORTED }
	d.GetPowerUsageFunc = func() (uint32, nvml.Return) { return 0, nvml.ERROR_NO_PERMISSION }
	d.GetComputeRunningProcessesFunc = func() ([]nvml.ProcessInfo, nvml.Return) { return nil, nvml.ERROR_NO_PERMISSION }
	return d
}

func TestDevices(t *testing.T) {
	lib := &fakeLibrary{devices: []nvml.Device{talkative(), reserved()}}
	n, err := open(lib)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := n.Devices()
	if err != nil || len(devices) != 2 {
		t.Fatalf("got %+v, %v", devices, err)
	}
	a, b := devices[0], devices[1]
	if a.Name != "NVIDIA RTX" || a.UUID != "GPU-1" || a.DriverVersion != "550.1" || a.MemTotal != 10 || a.MemUsed != 4 || a.MemFree != 6 {
		t.Errorf("first device: %+v", a)
	}
	if *a.Utilisation != 37 || *a.TemperatureC != 61 || *a.PowerW != 70.5 {
		t.Errorf("first device: %d %%, %d C, %g W", *a.Utilisation, *a.TemperatureC, *a.PowerW)
	}
	if len(a.Processes) != 2 || a.Processes[0] != (Process{7, 3}) || a.Processes[1] != (Process{8, 0}) {
		t.Errorf("processes %+v", a.Processes)
	}
	if b.Index != 1 || b.Utilisation != nil || b.TemperatureC != nil || b.PowerW != nil || b.Processes != nil {
		t.Errorf("what the second device does not tell must be nil: %+v", b)
	}
	if err := errors.Join(n.Close(), n.Close()); err != nil || lib.closed != 1 {
		t.Errorf("close: %v, shut down %d times", err, lib.closed)
	}
}

func TestDevicesReportsAFailure(t *testing.T) {
	broken := talkative()
	broken.GetMemoryInfoFunc = func() (nvml.Memory, nvml.Return) { return nvml.Memory{}, nvml.ERROR_GPU_IS_LOST }
	n, err := open(&fakeLibrary{devices: []nvml.Device{broken}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Devices(); !errors.Is(err, nvml.ERROR_GPU_IS_LOST) {
		t.Errorf("got %v", err)
	}
}

func TestOpenWithoutDriver(t *testing.T) {
	for _, ret := range []nvml.Return{nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED} {
		if _, err := open(&fakeLibrary{init: ret}); !errors.Is(err, ErrNoDriver) {
			t.Errorf("%v: got %v, want ErrNoDriver", ret, err)
		}
	}
	if _, err := open(&fakeLibrary{init: nvml.ERROR_NO_PERMISSION}); err == nil || errors.Is(err, ErrNoDriver) {
		t.Errorf("another failure is not a missing driver: %v", err)
	}
}

// TestOpenThisMachine runs the real library, if there is one.
func TestOpenThisMachine(t *testing.T) {
	n, err := Open()
	if errors.Is(err, ErrNoDriver) {
		t.Skipf("the driver's own answers are not tested: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	devices, err := n.Devices()
	if err := errors.Join(err, n.Close()); err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if d.Name == "" || d.MemTotal == 0 || d.MemUsed > d.MemTotal {
			t.Errorf("implausible: %+v", d)
		}
	}
}
