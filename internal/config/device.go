package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Kinds of devices to compute on.
const (
	DeviceAuto = "auto" // a GPU where one can be used, else the CPU
	DeviceCPU  = "cpu"
	DeviceCUDA = "cuda"
)

// Device says where to compute.
type Device struct {
	Kind  string
	Index int // of a CUDA device, as CUDA numbers them; -1: the first that can be used
}

// cudaDevice takes llama.cpp's CUDA0 beside cuda:0 and a bare 0.
var cudaDevice = regexp.MustCompile(`^(?:cuda:?)?(\d{1,4})$`)

// ParseDevice reads auto, cpu, cuda, cuda:N or N, in any case; llama.cpp's "none" is the CPU.
func ParseDevice(text string) (Device, error) {
	lower := strings.ToLower(text)
	switch lower {
	case DeviceAuto, DeviceCPU, DeviceCUDA:
		return Device{Kind: lower, Index: -1}, nil
	case "none":
		return Device{Kind: DeviceCPU, Index: -1}, nil
	}
	m := cudaDevice.FindStringSubmatch(lower)
	if m == nil {
		return Device{}, fmt.Errorf("device %q: it is auto, cpu, cuda or cuda:N", text)
	}
	index, err := strconv.Atoi(m[1])
	return Device{Kind: DeviceCUDA, Index: index}, err
}

// Precisions are the types that a run may keep its activations in, auto aside.
var Precisions = []string{"bf16", "f16", "f32"}

// PrecisionAuto takes the best that the device computes fast.
const PrecisionAuto = "auto"

func checkDevice(r Run) error {
	if _, err := ParseDevice(r.Device); err != nil {
		return err
	}
	if r.Precision != PrecisionAuto && !slices.Contains(Precisions, r.Precision) {
		return fmt.Errorf("precision %q: it is auto, %s", r.Precision, strings.Join(Precisions, ", "))
	}
	if r.NGPULayers < -1 {
		return fmt.Errorf("n-gpu-layers %d: -1 for as many as fit, 0 for none, or more", r.NGPULayers)
	}
	budget, err := ParseBudget("vram-budget", r.VRAMBudget)
	if err != nil {
		return err
	}
	if want, _ := ParseDevice(r.Device); !budget.Open() && (want.Kind == DeviceCPU || r.NGPULayers == 0) {
		return ErrBudgetOnCPU
	}
	return nil
}
