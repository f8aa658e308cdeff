package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/gpu/gputest"
	"github.com/qlora/qlora/internal/ui"
)

// fastWatch takes n samples (0: without end) without much of a wait.
func fastWatch(n int) gpuOptions { return gpuOptions{watch: true, interval: 0.001, count: n} }

func TestGPUTable(t *testing.T) {
	lib, open := fakeGPUs()
	s, out, _ := ui.Test()
	if err := runGPU(t.Context(), gpuOptions{}, open, s); err != nil || lib.Open() != 0 {
		t.Fatalf("%v, left open %d times", err, lib.Open())
	}
	for _, want := range []string{"driver 550.1\ngpu  name ", "\n  0  NVIDIA RTX  3.0 GiB  21 GiB  24 GiB  97 %  61 C  250 W  ", "\n  1  NVIDIA T4   1.0 GiB  15 GiB  16 GiB     -     -      -  ", "uses 2.0 GiB\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	lib.Devices[0].Change(func(s *gputest.State) { s.Lost = true })
	out.Reset()
	err := runGPU(t.Context(), gpuOptions{}, open, s)
	if exitCode(err) != ui.ExitDevice || !errors.Is(err, nvml.ERROR_GPU_IS_LOST) || !strings.Contains(out.String(), "NVIDIA T4") || ui.Hints(err) == nil {
		t.Errorf("a lost device: %v\n%s", err, out)
	}
}

// Blocks are aligned with each other, though figures get shorter and a device
// is lost in the middle, which is said once.
func TestGPUWatch(t *testing.T) {
	lib, open := fakeGPUs()
	lib.Devices[0].Change(func(s *gputest.State) { s.Utilisation.Gpu, s.Milliwatts = 100, 1_000_000 })
	s, out, errOut := ui.Test()
	s.Out = blockWriter{out, func(block int) {
		lib.Devices[0].Change(func(s *gputest.State) { s.Utilisation.Gpu, s.Milliwatts, s.Lost = 7, 9_000, block >= 2 })
	}}
	if err := runGPU(t.Context(), fastWatch(4), open, s); err != nil || lib.Open() != 0 {
		t.Fatalf("%v, left open %d times", err, lib.Open())
	}
	blocks := strings.Split(out.String(), "\n\n")
	if len(blocks) != 4 || strings.Contains(out.String(), "\x1b") {
		t.Fatalf("%d blocks:\n%q", len(blocks), out)
	}
	first, second := strings.Split(blocks[0], "\n"), strings.Split(blocks[1], "\n")
	if strings.Index(first[1], "processes") != strings.Index(second[1], "processes") || !strings.Contains(second[2], "    7 %  61 C     9 W  ") {
		t.Errorf("not aligned:\n%s\n%s", blocks[0], blocks[1])
	}
	if strings.Contains(blocks[3], "RTX") || !strings.Contains(blocks[3], "T4") {
		t.Errorf("the last block must show the device that is left:\n%s", blocks[3])
	}
	if n := strings.Count(errOut.String(), "read GPU 0"); n != 1 {
		t.Errorf("the loss was said %d times:\n%s", n, errOut)
	}
}

// blockWriter calls after with the number of writes that hold a whole block.
type blockWriter struct {
	*bytes.Buffer
	after func(block int)
}

func (w blockWriter) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	w.after(strings.Count(w.String(), "processes\n"))
	return n, err
}

func TestGPUWatchJSON(t *testing.T) {
	_, open := fakeGPUs()
	s, out, _ := ui.Test()
	s.JSON = true
	if err := runGPU(t.Context(), fastWatch(2), open, s); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want two samples and a summary:\n%s", len(lines), out)
	}
	var before time.Time
	for i, line := range lines {
		var m struct {
			Type    string       `json:"message_type"`
			Time    time.Time    `json:"time"`
			Devices []gpu.Device `json:"devices"`
			Samples int          `json:"samples"`
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil || len(m.Devices) != 2 || *m.Devices[0].Utilisation != 97 || m.Devices[1].Utilisation != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if summary := i == 2; summary != (m.Type == "summary" && m.Samples == 2) || !summary && (m.Type != "sample" || !m.Time.After(before)) {
			t.Errorf("line %d: %s", i, line)
		}
		before = m.Time
	}
}

func TestGPUWatchEnds(t *testing.T) {
	lib, open := fakeGPUs()
	s, out, _ := ui.Test()
	ctx, cancel := context.WithCancel(t.Context())
	s.Out = blockWriter{out, func(int) { cancel() }}
	if err := runGPU(ctx, gpuOptions{watch: true, interval: 3600}, open, s); err != nil {
		t.Errorf("interrupted: %v", err)
	}
	s.Out = blockWriter{out, func(int) {
		for _, d := range lib.Devices {
			d.Change(func(s *gputest.State) { s.Lost = true })
		}
	}}
	for _, when := range []string{"after a sample", "before"} {
		if err := runGPU(t.Context(), fastWatch(0), open, s); exitCode(err) != ui.ExitDevice {
			t.Errorf("all devices lost %s: %v", when, err)
		}
	}
	out.Reset()
	absent := &gputest.Library{InitReturn: nvml.ERROR_LIBRARY_NOT_FOUND}
	for _, lib := range []*gputest.Library{absent, gputest.NewLibrary()} {
		if err := runGPU(t.Context(), fastWatch(0), func() (*gpu.NVML, error) { return gpu.OpenLibrary(lib) }, s); err != nil {
			t.Errorf("nothing to watch: %v", err)
		}
	}
	if n := strings.Count(out.String(), "training runs on the CPU\n"); n != 2 {
		t.Errorf("said:\n%s", out)
	}
}

func TestGPUWatchInPlace(t *testing.T) {
	_, open := fakeGPUs()
	s, out, _ := ui.Test()
	s.OutTTY = true
	if err := runGPU(t.Context(), fastWatch(2), open, s); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\x1b[5A\r"); n != 1 || strings.Contains(out.String(), "\x1b[1m") {
		t.Errorf("want one redraw of five lines, without colour: %q", out)
	}
}

func TestGPUOptions(t *testing.T) {
	for _, args := range []string{"--count 2", "--interval 1", "--watch --interval 0", "--watch --interval -1", "--watch --interval NaN", "--watch --interval 1e9", "--watch --count -1"} {
		if code, _, errOut := runMain(t, append([]string{"gpu"}, strings.Fields(args)...)...); code != ui.ExitUsage {
			t.Errorf("%s: exit code %d: %s", args, code, errOut)
		}
	}
}
