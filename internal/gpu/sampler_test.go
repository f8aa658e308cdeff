package gpu

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/qlora/qlora/internal/gpu/gputest"
)

const hour = time.Hour // an interval that no test lives to see: sweeps are called

// start samples with a driver of the test's. sweep samples once more.
func start(t *testing.T, lib *gputest.Library, ids ...ID) (s *Sampler, sweep func()) {
	t.Helper()
	s, err := StartSampler(func() (*NVML, error) { return OpenLibrary(lib) }, ids, hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil || lib.Open() != 0 {
			t.Errorf("stop: %v, left open %d times", err, lib.Open())
		}
	})
	return s, func() { s.sweep(time.Now()) }
}

// use sets what a device says of its memory and of the processes on it.
func use(d *gputest.Device, used uint64, processes ...nvml.ProcessInfo) {
	d.Change(func(s *gputest.State) { s.Memory.Used, s.Processes = used, processes })
}

func ours(bytes uint64) nvml.ProcessInfo {
	return nvml.ProcessInfo{Pid: uint32(os.Getpid()), UsedGpuMemory: bytes}
}

// checkProcess compares the newest sample of the first device.
func checkProcess(t *testing.T, s *Sampler, want uint64, source Source) {
	t.Helper()
	got := s.Latest()[0]
	if got.MemProcess == nil || *got.MemProcess != want || got.Source != source {
		t.Errorf("process memory %v by %q, want %d by %q", value(got.MemProcess), got.Source, want, source)
	}
}

func value[T any](v *T) any {
	if v == nil {
		return nil
	}
	return *v
}

func TestSamplerFollowsADevice(t *testing.T) {
	lib := twoGPUs()
	s, sweep := start(t, lib, "0000:1B:00.0")
	first := s.Latest()
	if len(first) != 1 || first[0].Index != 0 || first[0].Name != "NVIDIA RTX" || first[0].UUID != "GPU-1" || first[0].Time.IsZero() {
		t.Fatalf("first sample: %+v", first)
	}
	if f := first[0]; *f.MemUsed != 4 || *f.Utilisation != 37 || *f.MemUtilisation != 12 || *f.TemperatureC != 61 || *f.PowerW != 70.5 {
		t.Errorf("first sample: %+v", f)
	}
	lib.Devices[0].Change(func(s *gputest.State) {
		s.Memory.Used, s.Utilisation, s.Celsius, s.Milliwatts = 9, nvml.Utilization{Gpu: 99, Memory: 5}, 70, 300_000
	})
	sweep()
	lib.Devices[0].Change(func(s *gputest.State) { s.Memory.Used, s.Utilisation.Gpu = 5, 0 })
	sweep()
	if f := s.Latest()[0]; *f.MemUsed != 5 || *f.Utilisation != 0 || *f.TemperatureC != 70 {
		t.Errorf("newest sample: %+v", f)
	}
	peaks := s.Peaks()
	if p := peaks.Devices[0]; *p.MemUsed != 9 || *p.Utilisation != 99 || *p.MemUtilisation != 12 || *p.TemperatureC != 70 || *p.PowerW != 300 || p.UUID != "GPU-1" {
		t.Errorf("peak: %+v", p)
	}
}

func TestSamplerLeavesOutWhatIsNotTold(t *testing.T) {
	lib := twoGPUs()
	s, sweep := start(t, lib, "1")
	lib.Devices[1].Change(func(s *gputest.State) { s.Silent = true })
	sweep()
	f := s.Latest()[0].Figures
	if f != (Figures{}) {
		t.Errorf("a device that tells nothing must have nil figures: %+v", f)
	}
	if p := s.Peaks().Devices[0]; *p.MemUsed != 4 || p.Utilisation != nil || p.MemUtilisation != nil || p.PowerW != nil || p.TemperatureC != nil {
		t.Errorf("peak of what was told and what was not: %+v", p)
	}
	if failures := s.Failures(); failures != nil {
		t.Errorf("a device that keeps to itself is not lost: %v", failures)
	}
}

func TestProcessMemoryByList(t *testing.T) {
	lib := twoGPUs()
	gpu := lib.Devices[0]
	s, sweep := start(t, lib, "0")
	checkProcess(t, s, 0, ByGrowth)
	use(gpu, 9) // others' memory: a guess that the list will correct
	sweep()
	checkProcess(t, s, 5, ByGrowth)
	use(gpu, 9, ours(2), nvml.ProcessInfo{Pid: 7, UsedGpuMemory: 4}, ours(1))
	sweep()
	checkProcess(t, s, 3, ByProcess)
	if p := s.Peaks(); *p.Devices[0].MemProcess != 3 || p.Devices[0].Source != ByProcess || *p.MemProcess != 3 {
		t.Errorf("the peak is still the guess: %d of %d by %s", *p.Devices[0].MemProcess, *p.MemProcess, p.Devices[0].Source)
	}
	use(gpu, 9, ours(notAvailable))
	sweep()
	if got := s.Latest()[0]; got.MemProcess != nil || got.Source != "" {
		t.Errorf("listed without a figure: %v by %q, want nil", value(got.MemProcess), got.Source)
	}
	use(gpu, 9)
	sweep()
	checkProcess(t, s, 0, ByProcess)
	if p := s.Peaks().Devices[0]; *p.MemProcess != 3 || p.Source != ByProcess {
		t.Errorf("peak %d by %s", *p.MemProcess, p.Source)
	}
}

func TestProcessMemoryByGrowth(t *testing.T) {
	for name, processes := range map[string][]nvml.ProcessInfo{
		"another id space": {{Pid: uint32(os.Getpid()) + 1, UsedGpuMemory: 3}},
		"no figure":        {ours(notAvailable)},
	} {
		lib := twoGPUs()
		s, sweep := start(t, lib, "0")
		use(lib.Devices[0], 7, processes...)
		sweep()
		checkProcess(t, s, 3, ByGrowth)
		use(lib.Devices[0], 1, processes...)
		sweep()
		checkProcess(t, s, 0, ByGrowth)
		if p := s.Peaks().Devices[0]; *p.MemProcess != 3 || p.Source != ByGrowth {
			t.Errorf("%s: peak %d by %s", name, *p.MemProcess, p.Source)
		}
	}
}

// The peak over devices is that of one moment, not the sum of their peaks.
func TestPeakOverDevices(t *testing.T) {
	lib := twoGPUs()
	lib.Devices[1].Change(func(s *gputest.State) { s.Reserved = false })
	s, sweep := start(t, lib, "0", "GPU-2", "0000:1B:00.0")
	if n := len(s.Latest()); n != 2 {
		t.Errorf("%d devices, want each of the two once", n)
	}
	for _, held := range [][2]uint64{{6, 1}, {2, 6}, {1, 1}} {
		use(lib.Devices[0], 9, ours(held[0]))
		use(lib.Devices[1], 9, ours(held[1]))
		sweep()
	}
	if p := s.Peaks(); *p.MemProcess != 8 || *p.Devices[0].MemProcess != 6 || *p.Devices[1].MemProcess != 6 {
		t.Errorf("peak %d of %d and %d, want 8 of 6 and 6", *p.MemProcess, *p.Devices[0].MemProcess, *p.Devices[1].MemProcess)
	}
}

func TestSamplerOutlivesALostDevice(t *testing.T) {
	lib := twoGPUs()
	s, sweep := start(t, lib, "0", "1")
	lib.Devices[0].Change(func(s *gputest.State) { s.Lost = true })
	sweep()
	sweep()
	if got := s.Latest(); len(got) != 1 || got[0].Index != 1 {
		t.Errorf("samples %+v, want those of GPU 1", got)
	}
	failures := s.Failures()
	if len(failures) != 1 || !errors.Is(failures[0], nvml.ERROR_GPU_IS_LOST) || !strings.Contains(failures[0].Error(), "GPU 0 (NVIDIA RTX)") {
		t.Errorf("failures %v, want one of GPU 0", failures)
	}
	if again := s.Failures(); again != nil {
		t.Errorf("said twice: %v", again)
	}
	if p := s.Peaks().Devices; len(p) != 2 || *p[0].MemUsed != 4 {
		t.Errorf("the peak of the lost device is lost: %+v", p)
	}
}

func TestSamplerWithoutDevicesOrDriver(t *testing.T) {
	never := func() (*NVML, error) { return nil, errors.New("opened") }
	s, err := StartSampler(never, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Stop(), s.Stop()); err != nil || s.Latest() != nil || s.Peaks().Devices != nil || s.Peaks().MemProcess != nil {
		t.Errorf("no devices: %v, %+v", err, s.Peaks())
	}
	absent := &gputest.Library{InitReturn: nvml.ERROR_LIBRARY_NOT_FOUND}
	if _, err := StartSampler(func() (*NVML, error) { return OpenLibrary(absent) }, []ID{"0"}, 0); !errors.Is(err, ErrNoDriver) {
		t.Errorf("no driver: %v", err)
	}
	lib := twoGPUs()
	if _, err := StartSampler(func() (*NVML, error) { return OpenLibrary(lib) }, []ID{"0", "GPU-9"}, 0); !errors.Is(err, nvml.ERROR_NOT_FOUND) || lib.Open() != 0 {
		t.Errorf("an unknown device: %v, left open %d times", err, lib.Open())
	}
}

// TestSamplerInTheBackground has readers and a changing device; the race
// detector judges. Stop leaves no goroutine.
func TestSamplerInTheBackground(t *testing.T) {
	before := runtime.NumGoroutine()
	lib := twoGPUs()
	s, err := StartSampler(func() (*NVML, error) { return OpenLibrary(lib) }, []ID{"0", "1"}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for used := uint64(4); *s.Latest()[0].MemUsed < 40; used++ {
		if time.Now().After(deadline) {
			t.Fatal("no new sample in 10 s")
		}
		use(lib.Devices[0], used)
		_, _ = s.Peaks(), s.Failures()
		time.Sleep(100 * time.Microsecond)
	}
	lib.Devices[1].Change(func(s *gputest.State) { s.Lost = true })
	use(lib.Devices[0], 1000)
	errs := make(chan error, 2)
	for range cap(errs) {
		go func() { errs <- s.Stop() }()
	}
	if err := errors.Join(<-errs, <-errs); err != nil || lib.Open() != 0 {
		t.Errorf("stop: %v, left open %d times", err, lib.Open())
	}
	if used := *s.Peaks().Devices[0].MemUsed; used != 1000 {
		t.Errorf("peak %d: Stop must take a last sample", used)
	}
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // the goroutines that called Stop end after they answered
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after", before, after)
	}
}

func TestPeakDuring(t *testing.T) {
	lib := twoGPUs()
	open := func() (*NVML, error) { return OpenLibrary(lib) }
	failed := errors.New("failed")
	peaks, err := PeakDuring(open, []ID{"0"}, time.Millisecond, func() error {
		use(lib.Devices[0], 9, ours(5))
		return failed
	})
	if !errors.Is(err, failed) || lib.Open() != 0 {
		t.Errorf("got %v, left open %d times", err, lib.Open())
	}
	if d := peaks.Devices[0]; *d.MemUsed != 9 || *d.MemProcess != 5 || d.Source != ByProcess || *peaks.MemProcess != 5 {
		t.Errorf("peaks %+v", peaks)
	}
	lib.InitReturn = nvml.ERROR_DRIVER_NOT_LOADED
	if _, err := PeakDuring(open, []ID{"0"}, 0, func() error { panic("run") }); !errors.Is(err, ErrNoDriver) {
		t.Errorf("without a driver: %v", err)
	}
}
