package gpu

import (
	"errors"
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Device is the state of one GPU at one moment. A nil number is one that the
// device does not tell.
type Device struct {
	Index          int       `json:"index"` // in the driver's order, which need not be CUDA's
	Name           string    `json:"name"`
	UUID           string    `json:"uuid"`
	BusID          string    `json:"pci_bus_id"` // as NVML writes it: 00000000:1B:00.0
	DriverVersion  string    `json:"driver_version"`
	MemTotal       uint64    `json:"mem_total_bytes"`
	MemUsed        uint64    `json:"mem_used_bytes"`
	MemFree        uint64    `json:"mem_free_bytes"`
	Utilisation    *int      `json:"utilisation_percent"`
	MemUtilisation *int      `json:"mem_utilisation_percent"` // time in which memory was read or written
	TemperatureC   *int      `json:"temperature_celsius"`
	PowerW         *float64  `json:"power_watts"`
	Processes      []Process `json:"processes"`
}

// Process is a process that computes on a device.
type Process struct {
	PID     int    `json:"pid"`
	MemUsed uint64 `json:"mem_used_bytes"` // 0 when the driver does not tell
}

// Devices reads the state of every GPU. A machine with a driver and no GPU has
// none, which is no error. Where one cannot be read the others are returned
// beside the error.
func (n *NVML) Devices() ([]Device, error) {
	driver, ret := n.lib.SystemGetDriverVersion()
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("read the driver's version: %w", ret)
	}
	count, ret := n.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("count GPUs: %w", ret)
	}
	devices := make([]Device, 0, count)
	var errs []error
	for i := range count {
		d, err := n.readIndex(i)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.DriverVersion = driver
		devices = append(devices, d)
	}
	return devices, errors.Join(errs...)
}

func (n *NVML) readIndex(i int) (Device, error) {
	handle, ret := n.lib.DeviceGetHandleByIndex(i)
	if ret != nvml.SUCCESS {
		return Device{}, fmt.Errorf("open GPU %d: %w", i, ret)
	}
	d, err := readDevice(handle)
	if err != nil {
		return d, fmt.Errorf("read GPU %d: %w", i, err)
	}
	d.Index = i
	return d, nil
}

// readDevice needs name, UUID and memory; what else a device keeps to itself
// (some do, in virtual machines) stays nil.
func readDevice(handle nvml.Device) (Device, error) {
	var d Device
	var ret nvml.Return
	if d.Name, ret = handle.GetName(); ret != nvml.SUCCESS {
		return d, fmt.Errorf("name: %w", ret)
	}
	if d.UUID, ret = handle.GetUUID(); ret != nvml.SUCCESS {
		return d, fmt.Errorf("UUID: %w", ret)
	}
	memory, ret := handle.GetMemoryInfo()
	if ret != nvml.SUCCESS {
		return d, fmt.Errorf("memory: %w", ret)
	}
	d.MemTotal, d.MemUsed, d.MemFree = memory.Total, memory.Used, memory.Free
	d.BusID = busIDOf(handle)
	load, _ := readLoad(handle)
	d.Utilisation, d.MemUtilisation, d.TemperatureC, d.PowerW = load.Utilisation, load.MemUtilisation, load.TemperatureC, load.PowerW
	d.Processes = readProcesses(handle)
	return d, nil
}

func readProcesses(handle nvml.Device) []Process {
	running, ret := handle.GetComputeRunningProcesses()
	if ret != nvml.SUCCESS {
		return nil
	}
	processes := make([]Process, 0, len(running))
	for _, p := range running {
		used := p.UsedGpuMemory
		if used == notAvailable {
			used = 0
		}
		processes = append(processes, Process{PID: int(p.Pid), MemUsed: used})
	}
	return processes
}

// notAvailable is how NVML says that it does not know a process's memory.
const notAvailable = ^uint64(0)
