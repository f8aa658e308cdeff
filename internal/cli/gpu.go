package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/ui"
)

type gpuOptions struct {
	watch    bool
	interval float64 // seconds between two samples
	count    int     // samples, 0 without end
}

// watchInterval is how many seconds pass between two samples by default.
const watchInterval = 2

func (o *gpuOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.watch, "watch", "w", false, "go on until Ctrl-C, on a terminal in place")
	flags.Float64Var(&o.interval, "interval", watchInterval, "seconds between two samples of --watch")
	flags.IntVar(&o.count, "count", 0, "samples of --watch after which to end (0: none)")
}

func (o gpuOptions) check() error {
	const least, most = 0.1, 24 * 3600
	switch {
	case !o.watch && (o.interval != watchInterval || o.count != 0):
		return errors.New("--interval and --count belong to --watch")
	case !(o.interval >= least && o.interval <= most):
		return fmt.Errorf("--interval %g: give seconds from %g to %d", o.interval, least, most)
	case o.count < 0:
		return fmt.Errorf("--count %d: give 0 or more samples", o.count)
	}
	return nil
}

func (o gpuOptions) period() time.Duration { return time.Duration(o.interval * float64(time.Second)) }

// gpuSummary is the JSON form of the report.
type gpuSummary struct {
	Devices []gpu.Device `json:"devices"`
	Samples int          `json:"samples,omitempty"` // of --watch
	Reason  string       `json:"reason,omitempty"`  // why there is none
}

func newGPUCmd(s *ui.Streams) *cobra.Command {
	var o gpuOptions
	cmd := &cobra.Command{
		Use:   "gpu",
		Short: "show NVIDIA GPUs, their memory and what runs on them",
		Long: `Gpu asks the NVIDIA driver which GPUs there are and prints their memory, load,
temperature, power and processes. No driver is an answer too, not a failure:
training then runs on the CPU.

With --watch it asks again every few seconds: on a terminal in place, elsewhere
one table after the other, with --json one line for each sample. Ctrl-C ends it
with exit status 0.` + exitStatus(ui.ExitOK, ui.ExitDevice),
		Example: `  qlora gpu
  qlora gpu --json
  qlora gpu --watch

  # a minute of samples for a script
  qlora gpu --watch --interval 1 --count 60 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return asUsage(cmd, err)
			}
			return runGPU(cmd.Context(), o, gpu.Open, s)
		},
	}
	o.addFlags(cmd)
	return cmd
}

func runGPU(ctx context.Context, o gpuOptions, open func() (*gpu.NVML, error), s *ui.Streams) (err error) {
	n, err := open()
	if errors.Is(err, gpu.ErrNoDriver) {
		s.Printf("%v; training runs on the CPU\n", err)
		return s.Event("summary", gpuSummary{Devices: []gpu.Device{}, Reason: err.Error()})
	}
	if err != nil {
		return gpuFailure(err)
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	devices, err := n.Devices()
	if len(devices) == 0 && err == nil {
		s.Printf("the NVIDIA driver is there, but it finds no GPU; training runs on the CPU\n")
		return s.Event("summary", gpuSummary{Devices: devices, Reason: "no GPU"})
	}
	if o.watch && len(devices) > 0 {
		return newGPUWatch(o, s).run(ctx, n, devices, err)
	}
	return errors.Join(showGPUs(s, devices), gpuFailure(err))
}

// showGPUs prints those that could be read, if any.
func showGPUs(s *ui.Streams, devices []gpu.Device) error {
	if len(devices) == 0 {
		return nil
	}
	if !s.JSON {
		s.Printf("driver %s\n", devices[0].DriverVersion)
		writeGPUs(s.Out, &ui.Columns{}, devices)
	}
	return s.Event("summary", gpuSummary{Devices: devices})
}

func gpuFailure(err error) error {
	return ui.Fail(ui.ExitDevice, err, "check that nvidia-smi works")
}

// writeGPUs writes the table and, below it, the processes.
func writeGPUs(w io.Writer, columns *ui.Columns, devices []gpu.Device) {
	header := []string{"gpu", "name", "used", "free", "total", "load", "temp", "power", "processes"}
	var rows [][]string
	for _, d := range devices {
		rows = append(rows, []string{
			fmt.Sprint(d.Index), d.Name, humanize.IBytes(d.MemUsed), humanize.IBytes(d.MemFree), humanize.IBytes(d.MemTotal),
			told(d.Utilisation, "%d %%"), told(d.TemperatureC, "%d C"), told(d.PowerW, "%.0f W"), fmt.Sprint(len(d.Processes)),
		})
	}
	columns.Table(w, header, rows)
	for _, d := range devices {
		for _, p := range d.Processes {
			fmt.Fprintf(w, "gpu %d: process %d uses %s\n", d.Index, p.PID, humanize.IBytes(p.MemUsed))
		}
	}
}

// told formats a number that a device may keep to itself.
func told[T any](v *T, format string) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf(format, *v)
}
