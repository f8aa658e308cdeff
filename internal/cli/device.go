package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dist"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/ui"
)

// deviceOptions say where a command computes.
type deviceOptions struct {
	device    string
	gpuLayers int         // -1: all, or as many as fit
	world     *dist.World // of a rank, whose place on its machine says which GPU where device does not
}

// computeDevice is what was chosen; without a module it is the CPU.
type computeDevice struct {
	module    *ggml.Module
	gpu       ggml.Device
	gpuLayers int
}

const deviceUsage = "`where` to compute: auto, cpu, cuda or cuda:N, of the GPUs that CUDA_VISIBLE_DEVICES leaves"

func (o *deviceOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.device, "device", config.DeviceAuto, deviceUsage)
	flags.IntVar(&o.gpuLayers, "n-gpu-layers", -1, "layers on the GPU (-ngl); -1: all when there is one, 0: none")
	flags.IntVar(&o.gpuLayers, "gpu-layers", -1, "same as --n-gpu-layers")
	flags.Lookup("gpu-layers").Hidden = true
}

// open finds the device and says on standard error which it is.
func (o deviceOptions) open(s *ui.Streams) (computeDevice, error) {
	d, why, err := o.find()
	if err != nil {
		return d, err
	}
	s.Infof("qlora: computing on %s%s\n", d, why)
	return d, nil
}

// find chooses a device; why is what keeps a GPU that is there from being it.
func (o deviceOptions) find() (d computeDevice, why string, err error) {
	want, err := o.wanted()
	if err != nil || want.Kind == config.DeviceCPU {
		return d, "", err
	}
	m := readMachine()
	d, err = m.choose(want)
	switch {
	case err == nil:
		d.gpuLayers = o.gpuLayers
		return d, "", nil
	case errors.Is(err, ggml.ErrLibraryPath):
		return d, "", ui.Fail(ui.ExitUsage, err, "name the library or its folder, or unset "+ggml.LibraryPathEnv)
	case want.Kind == config.DeviceCUDA:
		return d, "", ui.Fail(ui.ExitDevice, err, deviceHints(err)...)
	}
	if gpu := m.gpuName(); gpu != "" {
		why = fmt.Sprintf(", although there is %s: %v; %s", gpu, err, deviceHints(err)[0])
	}
	return computeDevice{}, why, nil
}

// wanted reads the flags; layers decide where the device is left open.
func (o deviceOptions) wanted() (config.Device, error) {
	want, err := config.ParseDevice(o.device)
	switch {
	case err != nil:
		return want, ui.Fail(ui.ExitUsage, err)
	case o.gpuLayers < -1:
		return want, ui.Fail(ui.ExitUsage, fmt.Errorf("--n-gpu-layers %d: -1 for all, 0 for none, or more", o.gpuLayers))
	case want.Kind == config.DeviceCPU && o.gpuLayers > 0, want.Kind == config.DeviceCUDA && o.gpuLayers == 0:
		return want, ui.Fail(ui.ExitUsage, fmt.Errorf("--device %s and --n-gpu-layers %d contradict each other", o.device, o.gpuLayers), "leave one of the two out")
	case o.gpuLayers == 0:
		want.Kind = config.DeviceCPU
	case o.gpuLayers > 0:
		want.Kind = config.DeviceCUDA
	}
	if o.world != nil && want.Index < 0 {
		want.Index = o.world.LocalRank
	}
	return want, nil
}

// deviceHints say what to do about a device that cannot be had.
func deviceHints(err error) []string {
	var first string
	switch {
	case errors.Is(err, ggml.ErrNoDriver):
		first = "install NVIDIA's driver; 'nvidia-smi' shows whether it works"
	case errors.Is(err, ggml.ErrNoModule):
		first = "build the CUDA library with 'make cuda', or name it with " + ggml.LibraryPathEnv
	case errors.Is(err, errNoDevice):
		first = "see which GPUs there are with 'qlora gpu', and look at CUDA_VISIBLE_DEVICES"
	case errors.Is(err, errOldDriver):
		first = "install a newer driver, or build the library with an older CUDA toolkit: make cuda CUDA_HOME=DIR"
	case errors.Is(err, errNoCode):
		first = "build the library for it: make cuda CUDA_ARCH=..., the compute capability without its dot"
	case errors.Is(err, errFull):
		first = "see who takes its memory with 'qlora gpu', or choose another with --device"
	default:
		first = "build the CUDA library again with 'make cuda'"
	}
	return []string{first, "leave --device and -ngl out, or give -ngl 0, to compute on the CPU", "run 'qlora doctor' to see what this machine offers"}
}

// onGPU tells whether a device was chosen.
func (d computeDevice) onGPU() bool { return d.module != nil }

// name is how --device names it.
func (d computeDevice) name() string {
	if !d.onGPU() {
		return config.DeviceCPU
	}
	return deviceName(d.gpu)
}

func deviceName(d ggml.Device) string { return fmt.Sprintf("%s:%d", config.DeviceCUDA, d.Index) }

// String describes it for people.
func (d computeDevice) String() string {
	if !d.onGPU() {
		return "the CPU"
	}
	return fmt.Sprintf("%s (%s, %s free)", d.name(), strings.TrimSpace(d.gpu.Description), humanize.IBytes(d.gpu.Free))
}
