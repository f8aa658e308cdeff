package gpu

import (
	"cmp"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// Figures are what a Sampler asks a device for. A nil number is one that the
// device does not tell.
type Figures struct {
	MemUsed        *uint64 // bytes in use on the device, by whomever
	MemProcess     *uint64 // bytes of them that are this process's; see Source
	Utilisation    *int    // percent of time in which a kernel ran
	MemUtilisation *int    // percent of time in which memory was read or written
	PowerW         *float64
	TemperatureC   *int
}

// raise lifts every figure of f to that of g where it is higher.
func (f *Figures) raise(g Figures) {
	f.MemUsed = higher(f.MemUsed, g.MemUsed)
	f.MemProcess = higher(f.MemProcess, g.MemProcess)
	f.Utilisation = higher(f.Utilisation, g.Utilisation)
	f.MemUtilisation = higher(f.MemUtilisation, g.MemUtilisation)
	f.PowerW = higher(f.PowerW, g.PowerW)
	f.TemperatureC = higher(f.TemperatureC, g.TemperatureC)
}

// higher is the greater of two figures; one that is not told loses.
func higher[T cmp.Ordered](a, b *T) *T {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// readFigures reads all but the process's memory. lost is the answer of a
// device that is gone, SUCCESS for one that is there.
func readFigures(handle nvml.Device) (f Figures, lost nvml.Return) {
	memory, ret := handle.GetMemoryInfo()
	if gone(ret) {
		return f, ret
	}
	f, lost = readLoad(handle)
	if ret == nvml.SUCCESS {
		f.MemUsed = &memory.Used
	}
	return f, lost
}

// readLoad reads how busy, how hot and how hungry a device is.
func readLoad(handle nvml.Device) (f Figures, lost nvml.Return) {
	rates, ratesRet := handle.GetUtilizationRates()
	if ratesRet == nvml.SUCCESS {
		gpu, memory := int(rates.Gpu), int(rates.Memory)
		f.Utilisation, f.MemUtilisation = &gpu, &memory
	}
	celsius, heatRet := handle.GetTemperature(nvml.TEMPERATURE_GPU)
	if heatRet == nvml.SUCCESS {
		degrees := int(celsius)
		f.TemperatureC = &degrees
	}
	milliwatts, powerRet := handle.GetPowerUsage()
	if powerRet == nvml.SUCCESS {
		watts := float64(milliwatts) / 1000
		f.PowerW = &watts
	}
	for _, ret := range []nvml.Return{ratesRet, heatRet, powerRet} {
		if gone(ret) {
			return f, ret
		}
	}
	return f, nvml.SUCCESS
}

// gone tells answers after which a device, or the driver, gives no others from
// those that concern one question only.
func gone(ret nvml.Return) bool {
	switch ret {
	case nvml.ERROR_GPU_IS_LOST, nvml.ERROR_RESET_REQUIRED, nvml.ERROR_UNINITIALIZED, nvml.ERROR_DRIVER_NOT_LOADED:
		return true
	}
	return false
}
