package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ggml"
	"github.com/qlora/qlora/internal/ui"
)

// fakeMachine has a library and GPUs of the given compute capabilities; the library has code from 7.5 on, for each its own.
func fakeMachine(capabilities ...int) machine {
	return machine{module: new(ggml.Module), path: "lib/libqlora-cuda.so", architectures: "75-real 90", runtime: 12040, driver: 12080,
		count: len(capabilities), device: func(i int) ggml.Device {
			c, code := capabilities[i], capabilities[i]
			if c < 75 {
				code = 0
			}
			return ggml.Device{Index: i, Name: fmt.Sprintf("CUDA%d", i), Description: fmt.Sprintf("NVIDIA %d", c), Major: c / 10, Minor: c % 10, Code: code,
				Free: 7 << 30, Total: 8 << 30, PCI: "0000:17:00.0"}
		}}
}

func TestChooseDevice(t *testing.T) {
	old, hidden := fakeMachine(90), fakeMachine()
	old.driver = 11080
	for _, c := range []struct {
		name string
		m    machine
		want int // index asked for
		got  string
		err  string
	}{
		{"the first", fakeMachine(90, 80), -1, "cuda:0", ""},
		{"the second", fakeMachine(90, 80), 1, "cuda:1", ""},
		{"past one without code", fakeMachine(61, 80), -1, "cuda:1", ""},
		{"none with code", fakeMachine(61), -1, "cpu", "no code for cuda:0, NVIDIA 61 of compute capability 6.1"},
		{"that one without code", fakeMachine(61, 80), 0, "cpu", "no code for cuda:0"},
		{"beyond the last", fakeMachine(90, 80), 2, "cpu", "cuda:2, where the last is cuda:1"},
		{"no device", hidden, -1, "cpu", "CUDA finds no such device"},
		{"an old driver", old, -1, "cpu", "it knows CUDA 11.8, the library holds CUDA 12.4"},
		{"no library", machine{err: ggml.ErrNoModule}, -1, "cpu", "no CUDA library"},
	} {
		d, err := c.m.choose(config.Device{Kind: config.DeviceCUDA, Index: c.want})
		if d.name() != c.got || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %s, %v", c.name, d.name(), err)
		}
	}
}

func TestWantedDevice(t *testing.T) {
	for _, c := range []struct {
		device string
		layers int
		want   string
		code   int
	}{
		{"auto", -1, "auto", 0}, {"auto", 0, "cpu", 0}, {"auto", 3, "cuda", 0}, {"cpu", -1, "cpu", 0}, {"cpu", 0, "cpu", 0}, {"cuda", 3, "cuda", 0},
		{"cpu", 3, "", ui.ExitUsage}, {"cuda", 0, "", ui.ExitUsage}, {"gpu", -1, "", ui.ExitUsage}, {"auto", -2, "", ui.ExitUsage},
	} {
		want, err := deviceOptions{device: c.device, gpuLayers: c.layers}.wanted()
		if exitCode(err) != c.code || err == nil && want.Kind != c.want {
			t.Errorf("--device %s -ngl %d: %+v, %v", c.device, c.layers, want, err)
		}
	}
}

func TestPrecision(t *testing.T) {
	on := func(capability int) computeDevice {
		d, _ := fakeMachine(capability).choose(config.Device{Index: -1})
		return d
	}
	older := on(90) // runs what was compiled for 7.5
	older.gpu.Code = 75
	for _, c := range []struct {
		d          computeDevice
		want, got  string
		capability string
	}{
		{on(90), "auto", "bf16", ""}, {on(80), "auto", "bf16", ""}, {on(75), "auto", "f16", ""}, {computeDevice{}, "auto", "f32", ""},
		{on(90), "f32", "f32", ""}, {on(90), "f16", "f16", ""}, {on(75), "f16", "f16", ""}, {computeDevice{}, "f32", "f32", ""},
		{on(75), "bf16", "", "8.0"}, {computeDevice{}, "bf16", "", "GPU"}, {computeDevice{}, "f16", "", "GPU"},
		{older, "auto", "f16", ""}, {older, "f16", "f16", ""}, {older, "bf16", "", "CUDA_ARCH=90"},
	} {
		got, err := c.d.precision(c.want)
		if got != c.got || c.got == "" && (exitCode(err) != ui.ExitUsage || !strings.Contains(err.Error()+strings.Join(ui.Hints(err), " "), c.capability) || len(ui.Hints(err)) == 0) {
			t.Errorf("%s on %s: %q, %v", c.want, c.d, got, err)
		}
	}
	for name := range precisionTypes {
		if r := (config.Run{Device: "auto", Precision: name, NGPULayers: -1}); precisionTypes[r.Precision].String() != name {
			t.Errorf("%s is %s", name, precisionTypes[name])
		}
	}
}

func TestCheckCUDA(t *testing.T) {
	old := fakeMachine(90)
	old.driver = 11080
	full := fakeMachine(90)
	full.device = func(int) ggml.Device { return ggml.Device{Description: "NVIDIA 90", Major: 9, Full: true} }
	for _, c := range []struct {
		name string
		m    machine
		want []string // "state name: detail; advice" of each check, in part
	}{
		{"nothing", machine{err: fmt.Errorf("%w: it is not in bin", ggml.ErrNoModule)}, []string{"missing cuda library: no CUDA library: it is not in bin; build the CUDA library with 'make cuda'"}},
		{"no driver", machine{err: ggml.ErrNoDriver}, []string{"missing cuda library: no NVIDIA driver; install NVIDIA's driver"}},
		{"another version's", machine{err: ggml.ErrOtherStamp}, []string{"; build the CUDA library again with 'make cuda'"}},
		{"a wrong path", machine{err: ggml.ErrLibraryPath}, []string{"failed cuda library: QLORA_LIBRARY_PATH names"}},
		{"all well", fakeMachine(90), []string{"ok cuda library: lib/libqlora-cuda.so, CUDA 12.4, compute capabilities 75-real 90;", "ok cuda driver: knows CUDA 12.8; the library holds CUDA 12.4;",
			"ok cuda:0: NVIDIA 90, compute capability 9.0, 7.0 GiB of 8.0 GiB free, 0000:17:00.0;"}},
		{"an old driver", old, []string{"ok cuda library", "missing cuda driver: knows CUDA 11.8; the library holds CUDA 12.4; install a newer driver", "ok cuda:0"}},
		{"old devices", fakeMachine(61, 75), []string{"ok cuda library", "ok cuda driver", "missing cuda:0: NVIDIA 61", "ok cuda:1"}},
		{"a full device", full, []string{"ok cuda library", "ok cuda driver", "missing cuda:0: NVIDIA 90, too little memory is free to start CUDA on it; see who takes its memory with 'qlora gpu'"}},
		{"none visible", fakeMachine(), []string{"ok cuda library", "CUDA finds no such device: there is none; see which GPUs there are with 'qlora gpu'"}},
	} {
		checks := checkCUDA(c.m)
		if len(checks) != len(c.want) {
			t.Fatalf("%s: %+v", c.name, checks)
		}
		for i, got := range checks {
			text := fmt.Sprintf("%s %s: %s; %s", got.State, got.Name, got.Detail, got.Advice)
			if !strings.Contains(text, c.want[i]) || got.State != checkOK && got.Advice == "" {
				t.Errorf("%s: %s\nwant %s", c.name, text, c.want[i])
			}
		}
	}
}
