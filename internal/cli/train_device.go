package cli

import (
	"fmt"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/ui"
)

// precisionTypes are the types of activations by the names that precision has.
var precisionTypes = map[string]ggml.Type{"bf16": ggml.BF16, "f16": ggml.F16, "f32": ggml.F32}

// openTrainDevice finds the device that r asks for and makes r's precision what the run will compute in. Of a rank,
// w is the place; nil for a process alone.
func openTrainDevice(r *config.Run, w *dist.World, s *ui.Streams) (computeDevice, error) {
	d, why, err := deviceOptions{device: r.Device, gpuLayers: r.NGPULayers, world: w}.find()
	if err != nil {
		return d, err
	}
	if r.Precision, err = d.precision(r.Precision); err != nil {
		return d, err
	}
	s.Infof("qlora: training on %s in %s%s\n", d, r.Precision, why)
	return d, nil
}

// What the kernels of a type of activations need of a device and of the code that the library has for it.
const bf16Capability, f16Capability = 80, 75

// precision chooses where it is auto, and refuses what the device does not compute.
func (d computeDevice) precision(want string) (string, error) {
	have := d.gpu.Kernels()
	switch {
	case want == config.PrecisionAuto:
		return d.bestPrecision(), nil
	case want == "f32":
		return want, nil
	case !d.onGPU():
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("--precision %s needs a GPU; the CPU computes in f32", want), "leave --precision out, or train with --device cuda")
	case want == "bf16" && have < bf16Capability && d.gpu.Capability() >= bf16Capability:
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("--precision bf16 needs code for compute capability 8.0; for %s the library has %d.%d", d.name(), d.gpu.Code/10, d.gpu.Code%10),
			fmt.Sprintf("build the library with: make cuda CUDA_ARCH=%d", d.gpu.Capability()), "or give --precision f16")
	case want == "bf16" && have < bf16Capability:
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("--precision bf16 needs compute capability 8.0; %s has %d.%d", d.name(), d.gpu.Major, d.gpu.Minor), "give --precision f16, or leave it out")
	case want == "f16" && have < f16Capability:
		return "", ui.Fail(ui.ExitUsage, fmt.Errorf("--precision f16 needs compute capability 7.5; %s has %d.%d", d.name(), d.gpu.Major, d.gpu.Minor), "give --precision f32, or leave it out")
	}
	return want, nil
}

func (d computeDevice) bestPrecision() string {
	switch have := d.gpu.Kernels(); {
	case d.onGPU() && have >= bf16Capability:
		return "bf16"
	case d.onGPU() && have >= f16Capability:
		return "f16"
	}
	return "f32"
}
