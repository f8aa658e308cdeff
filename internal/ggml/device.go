package ggml

// #include "bridge.h"
import "C"

import "fmt"

// Device is a GPU that a module can compute on.
type Device struct {
	Index        int    // as CUDA numbers the devices that CUDA_VISIBLE_DEVICES leaves
	Name         string // in ggml's registry, for libllama: CUDA0
	Description  string // the vendor's: NVIDIA H100 80GB HBM3
	UUID         string // as NVML spells it: GPU-...
	PCI          string // domain:bus:device.function
	Major, Minor int    // compute capability
	Code         int    // capability, without its dot, that the module's code for it was compiled for; 0: there is none
	Full         bool   // too little memory is free to start CUDA on it; Code is 0 then
	Free, Total  uint64 // bytes
}

// Capability is the compute capability without its dot: 75, 90.
func (d Device) Capability() int { return 10*d.Major + d.Minor }

// Kernels is the capability that the module's kernels have on it: a newer device runs code of an older one, but no better.
func (d Device) Kernels() int { return min(d.Capability(), d.Code) }

// CUDAVersion is 1000 * major + 10 * minor.
type CUDAVersion int

// Major is the part that a driver and a library must share, or the driver's be greater.
func (v CUDAVersion) Major() int { return int(v) / 1000 }

func (v CUDAVersion) String() string { return fmt.Sprintf("%d.%d", int(v)/1000, int(v)%1000/10) }

// DeviceCount is the number of GPUs that CUDA_VISIBLE_DEVICES leaves.
func (m *Module) DeviceCount() int { return int(C.ggml_backend_reg_dev_count(m.reg)) }

// Devices describes all of them.
func (m *Module) Devices() []Device {
	var out []Device
	for i := range m.DeviceCount() {
		out = append(out, m.Device(i))
	}
	return out
}

// Device describes one of them, from 0 to DeviceCount-1. It starts CUDA on it, which takes some of its memory.
func (m *Module) Device(index int) Device {
	dev := C.ggml_backend_reg_dev_get(m.reg, C.size_t(index))
	d := Device{Index: index, Name: C.GoString(C.ggml_backend_dev_name(dev)), Description: C.GoString(C.ggml_backend_dev_description(dev))}
	var info C.struct_qlora_device_info
	if C.qlora_module_device_info(m.ptr, C.int(index), &info) == 0 {
		d.UUID, d.PCI = C.GoString(&info.uuid[0]), C.GoString(&info.pci[0])
		d.Major, d.Minor, d.Code, d.Full = int(info.major), int(info.minor), int(info.code), info.full != 0
	}
	if !d.Full { // ggml would end the process
		var free, total C.size_t
		C.ggml_backend_dev_memory(dev, &free, &total)
		d.Free, d.Total = uint64(free), uint64(total)
	}
	return d
}
