package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/gpu/gputest"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/train"
	"github.com/qlora/qlora/internal/ui"
)

// fakeGPUs is a driver with two devices: one that tells everything and lists
// this process, one that tells its memory alone.
func fakeGPUs() (*gputest.Library, func() (*gpu.NVML, error)) {
	lib := gputest.NewLibrary(
		gputest.NewDevice("NVIDIA RTX", "GPU-1", "00000000:1B:00.0", gputest.State{
			Memory: nvml.Memory{Total: 24 << 30, Used: 3 << 30, Free: 21 << 30}, Utilisation: nvml.Utilization{Gpu: 97, Memory: 40},
			Celsius: 61, Milliwatts: 250_500, Processes: []nvml.ProcessInfo{{Pid: uint32(os.Getpid()), UsedGpuMemory: 2 << 30}},
		}),
		gputest.NewDevice("NVIDIA T4", "GPU-2", "00000000:3D:00.0", gputest.State{Memory: nvml.Memory{Total: 16 << 30, Used: 1 << 30, Free: 15 << 30}, Reserved: true}),
	)
	return lib, func() (*gpu.NVML, error) { return gpu.OpenLibrary(lib) }
}

// openReporter starts a run's files in a new working directory.
func openReporter(t *testing.T, gpus *trainGPUs) (p *reporter, errOut *bytes.Buffer) {
	t.Helper()
	t.Chdir(t.TempDir())
	s, _, errOut := ui.Test()
	p, err := newReporter(runFolders{name: "mine", runs: "runs/mine", log: "mine.log"}, 0, false, s)
	if err != nil {
		t.Fatal(err)
	}
	p.gpus = gpus
	return p, errOut
}

// A device is lost between two reports: the run goes on, and says so once.
func TestReportsCarryGPUs(t *testing.T) {
	lib, open := fakeGPUs()
	sampler, err := gpu.StartSampler(open, []gpu.ID{"0000:1B:00.0", "GPU-2"}, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	p, errOut := openReporter(t, &trainGPUs{sampler: sampler})
	err = errors.Join(p.start(train.Start{Total: 3}), p.evaluation(train.Evaluation{Loss: 2}), p.report(train.Report{Step: 1, Total: 3}))
	lib.Devices[0].Change(func(s *gputest.State) { s.Lost = true })
	for len(sampler.Latest()) > 1 {
		time.Sleep(time.Millisecond)
	}
	err = errors.Join(err, p.report(train.Report{Step: 2, Total: 3}), p.report(train.Report{Step: 3, Total: 3}))
	if n := strings.Count(errOut.String(), "GPU 0 (NVIDIA RTX) is not sampled any more"); n != 1 {
		t.Errorf("said %d times:\n%s", n, errOut)
	}
	lib.Devices[1].Change(func(s *gputest.State) { s.Lost = true }) // after the last report
	var m trainSummary
	p.addPeaks(&m)
	if err := errors.Join(err, p.Close(nil)); err != nil || lib.Open() != 0 {
		t.Fatalf("%v, left open %d times", err, lib.Open())
	}
	checkGPUMetrics(t)
	if n := strings.Count(errOut.String(), "is not sampled any more"); n != 2 {
		t.Errorf("said %d times, want once for each device:\n%s", n, errOut)
	}
	log := string(readBytes(t, "mine.log"))
	if strings.Count(log, `"sampling GPU"`) != 2 || strings.Count(log, `"lost 1 GPU"`) != 2 {
		t.Errorf("the log must name the two devices, and each loss once:\n%s", log)
	}
	if m.PeakVRAMBytes != 2<<30 || len(m.GPUs) != 2 || *m.GPUs[0].MemBytes != 3<<30 || *m.GPUs[0].PowerW != 250.5 || m.GPUs[1].PowerW != nil {
		t.Errorf("summary %+v", m)
	}
	checkScalars(t)
}

func checkGPUMetrics(t *testing.T) {
	t.Helper()
	all, err := runlog.ReadMetrics("runs/mine")
	if err != nil || len(all) != 4 {
		t.Fatalf("%d metrics, %v", len(all), err)
	}
	for _, m := range all[:2] { // an evaluation before the first step, a report
		if len(m.GPUs) != 2 || m.VRAMBytes != 2<<30 {
			t.Fatalf("metrics %+v", m)
		}
		a, b := m.GPUs[0], m.GPUs[1]
		if a.UUID != "GPU-1" || *a.MemBytes != 3<<30 || *a.ProcessBytes != 2<<30 || a.ProcessSource != "process" ||
			*a.Utilisation != 97 || *a.MemUtilisation != 40 || *a.PowerW != 250.5 || *a.TemperatureC != 61 {
			t.Errorf("GPU 0: %+v", a)
		}
		if b.Index != 1 || *b.MemBytes != 1<<30 || *b.ProcessBytes != 0 || b.ProcessSource != "growth" || b.Utilisation != nil || b.PowerW != nil {
			t.Errorf("GPU 1: %+v", b)
		}
	}
	for _, m := range all[2:] {
		if len(m.GPUs) != 1 || m.GPUs[0].Index != 1 || m.VRAMBytes != 0 {
			t.Errorf("after the loss: %+v", m)
		}
	}
}

// checkScalars looks for the tags in the event file, and for none of a figure
// that was not told.
func checkScalars(t *testing.T) {
	t.Helper()
	paths, err := filepath.Glob("runs/mine/events.out.tfevents.*")
	if err != nil || len(paths) != 1 {
		t.Fatalf("event files %v, %v", paths, err)
	}
	events := string(readBytes(t, paths[0]))
	for tag, want := range map[string]int{
		"gpu0/mem_gib": 1, "gpu0/mem_process_gib": 1, "gpu0/util_percent": 1, "gpu0/mem_util_percent": 1, "gpu0/power_watts": 1, "gpu0/temp_celsius": 1,
		"gpu1/mem_gib": 3, "gpu1/mem_process_gib": 3, "gpu1/util_percent": 0, "gpu1/power_watts": 0,
	} {
		if n := strings.Count(events, tag); n != want {
			t.Errorf("%s: %d scalars, want %d", tag, n, want)
		}
	}
}

func TestRunWithoutDriverSaysSoOnce(t *testing.T) {
	absent := func() (*gpu.NVML, error) {
		return gpu.OpenLibrary(&gputest.Library{InitReturn: nvml.ERROR_LIBRARY_NOT_FOUND})
	}
	p, errOut := openReporter(t, startTrainGPUs(absent, []gpu.ID{"0"}))
	err := errors.Join(p.start(train.Start{Total: 2}), p.report(train.Report{Step: 1, Total: 2}), p.report(train.Report{Step: 2, Total: 2}))
	var m trainSummary
	p.addPeaks(&m)
	if err := errors.Join(err, p.gpus.Stop(), p.Close(nil)); err != nil {
		t.Fatal(err)
	}
	log := string(readBytes(t, "mine.log"))
	if strings.Count(log, "no NVIDIA driver") != 1 || strings.Contains(errOut.String(), "driver") || m.GPUs != nil {
		t.Errorf("log:\n%s\nstandard error:\n%s", log, errOut)
	}
	if text := string(readBytes(t, "runs/mine/metrics.jsonl")); strings.Contains(text, "gpu") {
		t.Errorf("metrics of a run without a driver: %s", text)
	}
}

// TestTrainOnSampledGPUs is a whole run whose devices are made up.
func TestTrainOnSampledGPUs(t *testing.T) {
	tinyRun(t)
	var o trainOptions
	cmd := &cobra.Command{}
	o.addFlags(cmd)
	if err := cmd.ParseFlags(strings.Fields("-m base.gguf -d train.jsonl -c 64 --rank 4 --max-steps 2 --log-every 1 -t 1 --seed 5 --name mine")); err != nil {
		t.Fatal(err)
	}
	r, err := o.resolve(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s, out, _ := ui.Test()
	held, err := foldersOf(r).claim(false, false)
	if err != nil {
		t.Fatal(err)
	}
	defer held.release()
	job, err := openJob(t.Context(), r, computeDevice{}, nil, false, s)
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	job.claim = held
	if err := job.openEngine(); err != nil {
		t.Fatal(err)
	}
	lib, open := fakeGPUs()
	job.gpus = startTrainGPUs(open, []gpu.ID{"0"})
	if _, err := job.train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := job.Close(); err != nil || lib.Open() != 0 {
		t.Errorf("close: %v, left open %d times", err, lib.Open())
	}
	var m trainSummary
	if err := json.Unmarshal(readBytes(t, "outputs/mine/summary.json"), &m); err != nil {
		t.Fatal(err)
	}
	if m.PeakVRAMBytes != 2<<30 || len(m.GPUs) != 1 || *m.GPUs[0].ProcessBytes != 2<<30 || *m.GPUs[0].TemperatureC != 61 {
		t.Errorf("summary %+v", m)
	}
	if want := "gpu 0 (NVIDIA RTX): at most 3.0 GiB in use, at most 2.0 GiB by this run (by the driver's count)\n"; !strings.Contains(out.String(), want) {
		t.Errorf("standard output lacks %q:\n%s", want, out)
	}
	all, err := runlog.ReadMetrics("runs/mine")
	if err != nil || len(all) != 2 || len(all[0].GPUs) != 1 || len(all[1].GPUs) != 1 {
		t.Errorf("metrics %+v, %v", all, err)
	}
}
