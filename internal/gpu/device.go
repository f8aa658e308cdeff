package gpu

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Device is the state of one GPU at one moment. A nil number is one that the
// device does not tell.
type Device struct {
	Index         int       `json:"index"`
	Name          string    `json:"name"`
	UUID          string    `json:"uuid"`
	DriverVersion string    `json:"driver_version"`
	MemTotal      uint64    `json:"mem_total_bytes"`
	MemUsed       uint64    `json:"mem_used_bytes"`
	MemFree       uint64    `json:"mem_free_bytes"`
	Utilisation   *int      `json:"utilisation_percent"`
	TemperatureC  *int      `json:"temperature_celsius"`
	PowerW        *float64  `json:"power_watts"`
	Processes     []Process `json:"processes"`
}

// Process is a process that computes on a device.
type Process struct {
	PID     int    `json:"pid"`
	MemUsed uint64 `json:"mem_used_bytes"` // 0 when the driver does not tell
}

// Devices reads the state of every GPU. A machine with a driver and no GPU has
// none, which is no error.
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
	for i := range count {
		handle, ret := n.lib.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS {
			return nil, fmt.Errorf("open GPU %d: %w", i, ret)
		}
		d, err := readDevice(handle)
		if err != nil {
			return nil, fmt.Errorf("read GPU %d: %w", i, err)
		}
		d.Index, d.DriverVersion = i, driver
		devices = append(devices, d)
	}
	return devices, nil
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
	if rates, ret := handle.GetUtilizationRates(); ret == nvml.SUCCESS {
		percent := int(rates.Gpu)
		d.Utilisation = &percent
	}
	if celsius, ret := handle.GetTemperature(nvml.TEMPERATURE_GPU); ret == nvml.SUCCESS {
		degrees := int(celsius)
		d.TemperatureC = &degrees
	}
	if milliwatts, ret := handle.GetPowerUsage(); ret == nvml.SUCCESS {
		watts := float64(milliwatts) / 1000
		d.PowerW = &watts
	}
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
		if used == ^uint64(0) { // NVML's "not available"
			used = 0
		}
		processes = append(processes, Process{PID: int(p.Pid), MemUsed: used})
	}
	return processes
}
