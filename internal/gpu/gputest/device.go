// Package gputest is an NVIDIA driver made of go-nvml's mocks, for tests of
// what reads GPUs.
package gputest

import (
	"sync"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock"
)

// State is what a Device answers. Numbers are in NVML's units.
type State struct {
	Memory      nvml.Memory // bytes
	Utilisation nvml.Utilization
	Celsius     uint32
	Milliwatts  uint32
	Processes   []nvml.ProcessInfo
	Reserved    bool // keeps all but its memory to itself
	Silent      bool // keeps everything to itself
	Lost        bool // fell off the bus
}

// Device is one GPU whose state a test may change while others read it.
type Device struct {
	index             int
	name, uuid, busID string

	mu    sync.Mutex
	state State
}

// NewDevice is a device that answers everything. busID is in NVML's form,
// "00000000:1B:00.0".
func NewDevice(name, uuid, busID string, state State) *Device {
	return &Device{name: name, uuid: uuid, busID: busID, state: state}
}

// Change replaces what the device answers from now on.
func (d *Device) Change(change func(*State)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.state)
}

// read returns the state and what a question gets for an answer: optional ones
// are those that a device may refuse on its own.
func (d *Device) read(optional bool) (State, nvml.Return) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.state.Lost:
		return State{}, nvml.ERROR_GPU_IS_LOST
	case d.state.Silent, d.state.Reserved && optional:
		return State{}, nvml.ERROR_NOT_SUPPORTED
	}
	return d.state, nvml.SUCCESS
}

func (d *Device) mock() *mock.Device {
	return &mock.Device{
		GetNameFunc:  func() (string, nvml.Return) { return d.name, nvml.SUCCESS },
		GetUUIDFunc:  func() (string, nvml.Return) { return d.uuid, nvml.SUCCESS },
		GetIndexFunc: func() (int, nvml.Return) { return d.index, nvml.SUCCESS },
		GetPciInfoFunc: func() (pci nvml.PciInfo, ret nvml.Return) {
			copy(pci.BusId[:], d.busID)
			return pci, nvml.SUCCESS
		},
		GetMemoryInfoFunc: func() (nvml.Memory, nvml.Return) {
			s, ret := d.read(false)
			return s.Memory, ret
		},
		GetUtilizationRatesFunc: func() (nvml.Utilization, nvml.Return) {
			s, ret := d.read(true)
			return s.Utilisation, ret
		},
		GetTemperatureFunc: func(nvml.TemperatureSensors) (uint32, nvml.Return) {
			s, ret := d.read(true)
			return s.Celsius, ret
		},
		GetPowerUsageFunc: func() (uint32, nvml.Return) {
			s, ret := d.read(true)
			return s.Milliwatts, ret
		},
		GetComputeRunningProcessesFunc: func() ([]nvml.ProcessInfo, nvml.Return) {
			s, ret := d.read(true)
			return s.Processes, ret
		},
	}
}
