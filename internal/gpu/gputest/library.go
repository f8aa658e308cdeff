package gputest

import (
	"sync/atomic"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Library is a driver with the given devices, in the order of their indices.
type Library struct {
	InitReturn nvml.Return // what Init answers; SUCCESS is the zero value
	Devices    []*Device
	open       atomic.Int64
}

// NewLibrary is a driver that works. The devices get their indices from their
// places.
func NewLibrary(devices ...*Device) *Library {
	for i, d := range devices {
		d.index = i
	}
	return &Library{Devices: devices}
}

// Open is how often the library was opened and not yet shut down.
func (l *Library) Open() int { return int(l.open.Load()) }

// Init opens the library unless InitReturn is a failure.
func (l *Library) Init() nvml.Return {
	if l.InitReturn == nvml.SUCCESS {
		l.open.Add(1)
	}
	return l.InitReturn
}

// Shutdown takes one Init back.
func (l *Library) Shutdown() nvml.Return {
	l.open.Add(-1)
	return nvml.SUCCESS
}

// SystemGetDriverVersion is always 550.1.
func (l *Library) SystemGetDriverVersion() (string, nvml.Return) { return "550.1", nvml.SUCCESS }

// DeviceGetCount is the number of Devices.
func (l *Library) DeviceGetCount() (int, nvml.Return) { return len(l.Devices), nvml.SUCCESS }

// DeviceGetHandleByIndex refuses an index without a device.
func (l *Library) DeviceGetHandleByIndex(i int) (nvml.Device, nvml.Return) {
	if i < 0 || i >= len(l.Devices) {
		return nil, nvml.ERROR_INVALID_ARGUMENT
	}
	return l.Devices[i].mock(), nvml.SUCCESS
}

// DeviceGetHandleByUUID finds a device as the driver does, by the exact text.
func (l *Library) DeviceGetHandleByUUID(uuid string) (nvml.Device, nvml.Return) {
	for _, d := range l.Devices {
		if d.uuid == uuid {
			return d.mock(), nvml.SUCCESS
		}
	}
	return nil, nvml.ERROR_NOT_FOUND
}
