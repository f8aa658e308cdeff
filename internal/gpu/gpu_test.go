package gpu

import (
	"errors"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/qlora/qlora/internal/gpu/gputest"
)

// talkative answers everything.
func talkative() gputest.State {
	return gputest.State{Memory: nvml.Memory{Total: 10, Used: 4, Free: 6}, Utilisation: nvml.Utilization{Gpu: 37, Memory: 12}, Celsius: 61,
		Milliwatts: 70_500, Processes: []nvml.ProcessInfo{{Pid: 7, UsedGpuMemory: 3}, {Pid: 8, UsedGpuMemory: notAvailable}}}
}

// reserved refuses what devices may refuse.
func reserved() gputest.State {
	s := talkative()
	s.Reserved = true
	return s
}

// twoGPUs is a driver with a talkative device and a reserved one.
func twoGPUs() *gputest.Library {
	return gputest.NewLibrary(gputest.NewDevice("NVIDIA RTX", "GPU-1", "00000000:1B:00.0", talkative()),
		gputest.NewDevice("NVIDIA T4", "GPU-2", "00000001:1B:00.0", reserved()))
}

func mustOpen(t *testing.T, lib Library) *NVML {
	t.Helper()
	n, err := OpenLibrary(lib)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDevices(t *testing.T) {
	lib := twoGPUs()
	n := mustOpen(t, lib)
	devices, err := n.Devices()
	if err != nil || len(devices) != 2 {
		t.Fatalf("got %+v, %v", devices, err)
	}
	a, b := devices[0], devices[1]
	if a.Name != "NVIDIA RTX" || a.UUID != "GPU-1" || a.BusID != "00000000:1B:00.0" || a.DriverVersion != "550.1" ||
		a.MemTotal != 10 || a.MemUsed != 4 || a.MemFree != 6 {
		t.Errorf("first device: %+v", a)
	}
	if *a.Utilisation != 37 || *a.MemUtilisation != 12 || *a.TemperatureC != 61 || *a.PowerW != 70.5 {
		t.Errorf("first device: %d %%, memory %d %%, %d C, %g W", *a.Utilisation, *a.MemUtilisation, *a.TemperatureC, *a.PowerW)
	}
	if len(a.Processes) != 2 || a.Processes[0] != (Process{7, 3}) || a.Processes[1] != (Process{8, 0}) {
		t.Errorf("processes %+v", a.Processes)
	}
	if b.Index != 1 || b.Utilisation != nil || b.MemUtilisation != nil || b.TemperatureC != nil || b.PowerW != nil || b.Processes != nil {
		t.Errorf("what the second device does not tell must be nil: %+v", b)
	}
	if err := errors.Join(n.Close(), n.Close()); err != nil || lib.Open() != 0 {
		t.Errorf("close: %v, left open %d times", err, lib.Open())
	}
}

func TestDevicesReportsAFailure(t *testing.T) {
	lib := twoGPUs()
	lib.Devices[0].Change(func(s *gputest.State) { s.Lost = true })
	devices, err := mustOpen(t, lib).Devices()
	if !errors.Is(err, nvml.ERROR_GPU_IS_LOST) {
		t.Errorf("got %v", err)
	}
	if len(devices) != 1 || devices[0].Index != 1 || devices[0].DriverVersion == "" {
		t.Errorf("the other device must be returned, in its place: %+v", devices)
	}
}

func TestFind(t *testing.T) {
	n := mustOpen(t, twoGPUs())
	for id, want := range map[ID]int{
		"0": 0, "1": 1, "GPU-2": 1,
		"0000:1B:00.0": 0, "0000:1b:00.0": 0, "00000000:1B:00.0": 0, // as CUDA, as ggml and as NVML write it
		"0001:1B:00.0": 1, "00000001:1b:00.0": 1,
	} {
		d, err := n.Find(id)
		if err != nil || d.Index != want || d.DriverVersion != "550.1" {
			t.Errorf("%s: found GPU %d (%v), want %d", id, d.Index, err, want)
		}
	}
	for _, id := range []ID{"2", "-1", "", "GPU-3", "0000:1C:00.0", "0000:1B:01.0", "0000:1B:00.0x", "1B:00.0", "000000001:1B:00.0"} {
		if d, err := n.Find(id); err == nil {
			t.Errorf("%q: found GPU %d", id, d.Index)
		}
	}
}

func TestOpenWithoutDriver(t *testing.T) {
	for _, ret := range []nvml.Return{nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED} {
		if _, err := OpenLibrary(&gputest.Library{InitReturn: ret}); !errors.Is(err, ErrNoDriver) {
			t.Errorf("%v: got %v, want ErrNoDriver", ret, err)
		}
	}
	if _, err := OpenLibrary(&gputest.Library{InitReturn: nvml.ERROR_NO_PERMISSION}); err == nil || errors.Is(err, ErrNoDriver) {
		t.Errorf("another failure is not a missing driver: %v", err)
	}
}

// TestOpenThisMachine runs the real library, if there is one.
func TestOpenThisMachine(t *testing.T) {
	n, err := Open()
	if errors.Is(err, ErrNoDriver) {
		t.Skipf("the driver's own answers are not tested: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	devices, err := n.Devices()
	if err := errors.Join(err, n.Close()); err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if d.Name == "" || d.MemTotal == 0 || d.MemUsed > d.MemTotal {
			t.Errorf("implausible: %+v", d)
		}
	}
}
