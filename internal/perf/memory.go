package perf

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"github.com/qlora/qlora/internal/gpu"
)

// memoryWatch follows the memory of this process from its creation on.
type memoryWatch struct {
	nvml     *gpu.NVML // nil without a driver
	rssReset bool      // whether the system's own peak starts at this watch
	peakGPU  uint64
	onGPU    bool
	device   func() (uint64, error) // asked instead of NVML; may be nil
}

func watchMemory() *memoryWatch {
	w := &memoryWatch{}
	// 5 sets the peak of the resident set to its present size: proc(5).
	w.rssReset = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
	if n, err := gpu.Open(); err == nil {
		w.nvml = n
	}
	return w
}

// sample asks the GPUs; they keep no peak of their own.
func (w *memoryWatch) sample() {
	if w.device != nil {
		if used, err := w.device(); err == nil {
			w.peakGPU, w.onGPU = max(w.peakGPU, used), true
		}
		return
	}
	if w.nvml == nil {
		return
	}
	devices, err := w.nvml.Devices()
	if err != nil {
		return // a device that stops answering leaves the last figure
	}
	var used uint64
	for _, d := range devices {
		for _, p := range d.Processes {
			if p.PID == os.Getpid() {
				used += p.MemUsed
				w.onGPU = true
			}
		}
	}
	w.peakGPU = max(w.peakGPU, used)
}

// peaks returns the most memory used since the watch began; nil for what is
// not known.
func (w *memoryWatch) peaks() (rss, gpuBytes *uint64) {
	w.sample()
	if peak, err := peakRSS("/proc/self/status"); err == nil && w.rssReset {
		rss = &peak
	}
	if w.onGPU {
		gpuBytes = &w.peakGPU
	}
	return rss, gpuBytes
}

func (w *memoryWatch) close() error {
	if w.nvml == nil {
		return nil
	}
	return w.nvml.Close()
}

// peakRSS reads VmHWM, in KiB, from a status file of proc(5).
func peakRSS(path string) (uint64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	for _, line := range bytes.Split(data, []byte("\n")) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "VmHWM:" {
			kib, err := strconv.ParseUint(string(fields[1]), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("%s has no VmHWM", path)
}
