package cli

import (
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/rs/zerolog"

	"github.com/qlora/qlora/internal/gpu"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// runDevices names the GPUs that a run computes on.
func runDevices(d computeDevice) []gpu.ID {
	if !d.onGPU() {
		return nil
	}
	return []gpu.ID{gpu.ID(d.gpu.UUID)}
}

// trainGPUs is what a run tells of its GPUs: figures with each report, peaks in
// its summary. One that is nil or could not be opened tells nothing, and the
// run goes on.
type trainGPUs struct {
	sampler *gpu.Sampler
	off     error // why nothing is sampled; nil when something is, or nothing is to be
}

// startTrainGPUs samples the devices of a run. It comes before anything is
// allocated on them.
func startTrainGPUs(open func() (*gpu.NVML, error), ids []gpu.ID) *trainGPUs {
	sampler, err := gpu.StartSampler(open, ids, gpu.DefaultInterval)
	return &trainGPUs{sampler: sampler, off: err}
}

// Stop ends the sampling; a second call does nothing.
func (g *trainGPUs) Stop() error {
	if g == nil || g.sampler == nil {
		return nil
	}
	return g.sampler.Stop()
}

// announce says in the log what is sampled, or once and for all why not.
func (g *trainGPUs) announce(log zerolog.Logger) {
	if g == nil {
		return
	}
	if g.off != nil {
		log.Warn().Err(g.off).Msg("GPUs are not sampled")
		return
	}
	for _, s := range g.latest() {
		log.Info().Int("gpu", s.Index).Str("name", s.Name).Str("uuid", s.UUID).Msg("sampling GPU")
	}
}

func (g *trainGPUs) latest() []gpu.Sample {
	if g == nil || g.sampler == nil {
		return nil
	}
	return g.sampler.Latest()
}

// failures are the devices lost since the last call.
func (g *trainGPUs) failures() []error {
	if g == nil || g.sampler == nil {
		return nil
	}
	return g.sampler.Failures()
}

// addGPUs puts samples into a report.
func addGPUs(m *runlog.Metrics, samples []gpu.Sample) {
	m.GPUs = nil
	var held uint64
	told := false
	for _, s := range samples {
		m.GPUs = append(m.GPUs, runlog.GPU{Index: s.Index, UUID: s.UUID, MemBytes: s.MemUsed, ProcessBytes: s.MemProcess,
			ProcessSource: string(s.Source), Utilisation: s.Utilisation, MemUtilisation: s.MemUtilisation,
			PowerW: s.PowerW, TemperatureC: s.TemperatureC})
		if s.MemProcess != nil {
			held, told = held+*s.MemProcess, true
		}
	}
	if told {
		m.VRAMBytes = held
	}
}

// gpuScalars are the figures of samples for TensorBoard; those that are not
// told leave a gap.
func gpuScalars(samples []gpu.Sample) []scalar {
	var all []scalar
	for _, s := range samples {
		tag := fmt.Sprintf("gpu%d/", s.Index)
		all = appendTold(all, tag+"mem_gib", s.MemUsed, 1<<30)
		all = appendTold(all, tag+"mem_process_gib", s.MemProcess, 1<<30)
		all = appendTold(all, tag+"util_percent", s.Utilisation, 1)
		all = appendTold(all, tag+"mem_util_percent", s.MemUtilisation, 1)
		all = appendTold(all, tag+"power_watts", s.PowerW, 1)
		all = appendTold(all, tag+"temp_celsius", s.TemperatureC, 1)
	}
	return all
}

func appendTold[T int | uint64 | float64](all []scalar, tag string, v *T, unit float64) []scalar {
	if v == nil {
		return all
	}
	return append(all, scalar{tag, float64(*v) / unit})
}

// gpuPeak is one device of the summary: the highest figures of the run.
type gpuPeak struct {
	Index         int      `json:"index"`
	Name          string   `json:"name"`
	UUID          string   `json:"uuid"`
	MemBytes      *uint64  `json:"peak_gpu_mem_bytes"`
	ProcessBytes  *uint64  `json:"peak_gpu_mem_process_bytes"`
	ProcessSource string   `json:"gpu_mem_process_source,omitempty"`
	PowerW        *float64 `json:"peak_gpu_power_watts"`
	TemperatureC  *int     `json:"peak_gpu_temp_celsius"`
}

// addPeaks ends the sampling and puts its peaks into the summary.
func (p *reporter) addPeaks(m *trainSummary) {
	if p.gpus == nil || p.gpus.sampler == nil {
		return
	}
	if err := p.gpus.Stop(); err != nil {
		p.log.Warn().Err(err).Msg("end the sampling of GPUs") // the result is worth more
	}
	p.lostGPUs()
	peaks := p.gpus.sampler.Peaks()
	for _, d := range peaks.Devices {
		m.GPUs = append(m.GPUs, gpuPeak{Index: d.Index, Name: d.Name, UUID: d.UUID, MemBytes: d.MemUsed, ProcessBytes: d.MemProcess,
			ProcessSource: string(d.Source), PowerW: d.PowerW, TemperatureC: d.TemperatureC})
	}
	if peaks.MemProcess != nil {
		m.PeakVRAMBytes = *peaks.MemProcess
	}
}

// print says the peak of one device in words.
func (p gpuPeak) print(s *ui.Streams) {
	if p.MemBytes == nil {
		return
	}
	s.Printf("gpu %d (%s): at most %s in use", p.Index, p.Name, humanize.IBytes(*p.MemBytes))
	if p.ProcessBytes != nil {
		how := "by the driver's count"
		if p.ProcessSource == string(gpu.ByGrowth) {
			how = "by the growth since the start"
		}
		s.Printf(", at most %s by this run (%s)", humanize.IBytes(*p.ProcessBytes), how)
	}
	s.Printf("\n")
}

// lostGPUs says which devices are no longer sampled, once each.
func (p *reporter) lostGPUs() {
	failures := p.gpus.failures()
	if len(failures) == 0 {
		return
	}
	err := errors.Join(failures...)
	p.log.Warn().Err(err).Msg("lost " + english.Plural(len(failures), "GPU", ""))
	p.line("") // takes the progress bar away
	for _, err := range failures {
		p.s.Warnf("%v; the run goes on", err)
	}
}
