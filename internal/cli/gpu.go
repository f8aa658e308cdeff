package cli

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/ui"
)

// gpuSummary is the JSON form of the report.
type gpuSummary struct {
	Devices []gpu.Device `json:"devices"`
	Reason  string       `json:"reason,omitempty"` // why there is none
}

func newGPUCmd(s *ui.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "gpu",
		Short: "show NVIDIA GPUs, their memory and what runs on them",
		Long: `Gpu asks the NVIDIA driver which GPUs there are and prints their memory, load,
temperature, power and processes. No driver is an answer too, not a failure:
training then runs on the CPU.` + exitStatus(ui.ExitOK),
		Example: "  qlora gpu\n  qlora gpu --json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return runGPU(s) },
	}
}

func runGPU(s *ui.Streams) error {
	devices, err := readGPUs()
	if errors.Is(err, gpu.ErrNoDriver) {
		s.Printf("%v; training runs on the CPU\n", err)
		return s.Event("summary", gpuSummary{Devices: []gpu.Device{}, Reason: err.Error()})
	}
	if err != nil {
		return ui.Fail(ui.ExitDevice, err, "check that nvidia-smi works")
	}
	if len(devices) == 0 {
		s.Printf("the NVIDIA driver is there, but it finds no GPU; training runs on the CPU\n")
		return s.Event("summary", gpuSummary{Devices: devices, Reason: "no GPU"})
	}
	if !s.JSON {
		printGPUs(s, devices)
	}
	return s.Event("summary", gpuSummary{Devices: devices})
}

func readGPUs() (devices []gpu.Device, err error) {
	n, err := gpu.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	return n.Devices()
}

func printGPUs(s *ui.Streams, devices []gpu.Device) {
	s.Printf("driver %s\n", devices[0].DriverVersion)
	header := []string{"gpu", "name", "used", "free", "total", "load", "temp", "power", "processes"}
	var rows [][]string
	for _, d := range devices {
		rows = append(rows, []string{
			fmt.Sprint(d.Index), d.Name, humanize.IBytes(d.MemUsed), humanize.IBytes(d.MemFree), humanize.IBytes(d.MemTotal),
			told(d.Utilisation, "%d %%"), told(d.TemperatureC, "%d C"), told(d.PowerW, "%.0f W"), fmt.Sprint(len(d.Processes)),
		})
	}
	ui.Table(s.Out, header, rows)
	for _, d := range devices {
		for _, p := range d.Processes {
			s.Printf("gpu %d: process %d uses %s\n", d.Index, p.PID, humanize.IBytes(p.MemUsed))
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
