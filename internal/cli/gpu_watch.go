package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/ui"
)

// gpuWatch prints the state of the GPUs again and again.
type gpuWatch struct {
	o       gpuOptions
	s       *ui.Streams
	screen  *ui.Screen
	columns ui.Columns
	warned  map[string]bool
}

// gpuSample is the message "sample".
type gpuSample struct {
	Time    time.Time    `json:"time"`
	Devices []gpu.Device `json:"devices"`
}

func newGPUWatch(o gpuOptions, s *ui.Streams) *gpuWatch {
	return &gpuWatch{o: o, s: s, screen: ui.NewScreen(s), warned: map[string]bool{}}
}

// run shows devices and then those of every later sample, until ctx is done or
// there were enough; both are no error. It goes on while one device answers;
// lost says which did not.
func (w *gpuWatch) run(ctx context.Context, n *gpu.NVML, devices []gpu.Device, lost error) error {
	tick := time.NewTicker(w.o.period())
	defer tick.Stop()
	for samples := 1; ; samples++ {
		if len(devices) == 0 {
			return gpuFailure(errors.Join(errors.New("no GPU answers any more"), lost))
		}
		if err := w.show(time.Now(), devices, lost); err != nil {
			return err
		}
		if samples == w.o.count || !w.wait(ctx, tick) {
			return w.s.Event("summary", gpuSummary{Devices: devices, Samples: samples})
		}
		devices, lost = n.Devices()
	}
}

// wait is false when ctx is done.
func (w *gpuWatch) wait(ctx context.Context, tick *time.Ticker) bool {
	select {
	case <-ctx.Done():
		if w.s.ErrTTY {
			w.s.Infof("\n") // off the line of the terminal's ^C
		}
		return false
	case <-tick.C:
		return true
	}
}

func (w *gpuWatch) show(now time.Time, devices []gpu.Device, lost error) error {
	w.warn(lost)
	var table strings.Builder
	writeGPUs(&table, &w.columns, devices)
	title := fmt.Sprintf("%s  driver %s  every %g s", now.Format(time.DateTime), devices[0].DriverVersion, w.o.interval)
	w.screen.Show(title, table.String())
	return w.s.Event("sample", gpuSample{Time: now, Devices: devices})
}

// warn says once that devices could not be read.
func (w *gpuWatch) warn(lost error) {
	if lost == nil || w.warned[lost.Error()] {
		return
	}
	w.warned[lost.Error()] = true
	w.screen.Leave()
	w.s.Warnf("%v", lost)
}
